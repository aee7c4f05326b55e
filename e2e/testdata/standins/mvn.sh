#!/bin/sh
# mvn [-B] GOAL [-DNAME]: does what the two goals do that a small project needs.
set -eu
for goal; do
	case $goal in
	dependency:go-offline) grep -q '<artifactId>' pom.xml && mkdir -p /root/.m2/repository ;;
	package)
		mkdir -p target/classes
		find src/main/java -name '*.java' -exec javac -d target/classes {} +
		jar --create --file target/app.jar --main-class "$(sed -n 's:.*<mainClass>\(.*\)</mainClass>.*:\1:p' pom.xml)" -C target/classes .
		;;
	esac
done
