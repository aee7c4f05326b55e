#!/bin/bash
# Builds the Dockerfiles beside this file and prints a line for each case: its name, pass, refused, no room or
# fail, and what was seen. Refused is exit status 4: the builder has said that the machine cannot do it. No room
# is a build that has said that the disk is full.
# REPOSITORY is where images are pushed to, BASE the base image, CASES the cases; all come from the file
# "settings" in the working directory, and results go to "results" there.
cd "${WORK:-/work}" || exit 1
set -a; . ./settings; set +a
here=$(dirname "$(readlink -f "$0")")
: > results

# report CASE RESULT WORDS [TIME]
report() { printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$(tr '\n\t' '  ' <<< "$3" | cut -c 1-300 | sed 's/ *$//')" "${4:-}" | tee -a results; }

# build NAME [OPTION...]: output goes to the file NAME.log
build() {
	local name=$1; shift
	NO_COLOR=1 timeout 600 builder build --progress plain --build-arg "BASE=$BASE" --build-arg SOURCE_DATE_EPOCH=1700000000 \
		${SANDBOX:+--sandbox "$SANDBOX"} "$@" "$here/$name" > "$name.log" 2>&1
}

why() { grep '^builder: ' "$1.log" | tail -1 || tail -1 "$1.log"; }

# what kind of failure it was
fault() { if grep '^builder: ' "$1.log" | grep -q 'no space left on device'; then echo "no room"; else echo fail; fi; }

digest() { sed -n 's/^linux\/[^ ]* \(sha256:[0-9a-f]*\).*/\1/p' "$1.log" | tail -1; }

# taken NAME: how long a build took, and its last step
taken() {
	echo "$(sed -n 's/^built in \(.*\): .*/\1/p' "$1.log"), $(sed -n 's/^#[0-9]* done //p' "$1.log" | tail -1)"
}

# image NAME [OPTION...]: builds and pushes, twice; the second time nothing may run
image() {
	local name=$1 first took; shift
	set -- -o "type=image,name=$REPOSITORY/$name,push=true,rewrite-timestamp=true" "$@"
	build "$name" "$@"
	case $? in
	0) ;;
	4) report "$name" refused "$(why "$name")"; return ;;
	*) report "$name" "$(fault "$name")" "$(why "$name")"; return ;;
	esac
	first=$(digest "$name")
	took=$(taken "$name")
	build "$name" "$@" || { report "$name" fail "second time: $(why "$name")"; return; }
	grep -q ' 0 steps run' "$name.log" || { report "$name" fail "the second build ran steps: $(grep '^built' "$name.log")"; return; }
	[ "$first" = "$(digest "$name")" ] || { report "$name" fail "the second build gave another image"; return; }
	report "$name" pass "$first" "$took"
}

# a RUN that fails must exit with 1 and tell its status and its words
failing() {
	build fails -o type=cacheonly
	case $? in
	1) if grep -q 'exit code: 23' fails.log && grep -q 'words to find' fails.log; then report fails pass "exit 1"; else report fails "$(fault fails)" "$(why fails)"; fi ;;
	4) report fails refused "$(why fails)" ;;
	*) report fails "$(fault fails)" "$(why fails)" ;;
	esac
}

# what commands try against the machine must fail, and what is outside must be as it was
attacks() {
	mkdir -p guarded
	echo canary > guarded/secret
	local before status
	before=$(stat -c '%n %a %u:%g %Y %s' guarded guarded/secret)
	build attacks --no-cache --build-arg "OUTSIDE=$PWD" -o type=cacheonly
	status=$?
	case $status in
	0) if [ "$before" = "$(stat -c '%n %a %u:%g %Y %s' guarded guarded/secret 2>&1)" ]; then report attacks pass ""; else report attacks fail "what is outside has changed"; fi ;;
	4) report attacks refused "$(why attacks)" ;;
	*) report attacks fail "$(grep -m 1 'ATTACK SUCCEEDED' attacks.log || why attacks)" ;;
	esac
}

doctor() {
	NO_COLOR=1 timeout 100 builder doctor ${SANDBOX:+--sandbox "$SANDBOX"} > doctor.log 2>&1
	local status=$? rung
	rung=$(sed -n 's/^sandbox: \([a-z]*\).*/\1/p' doctor.log)
	case $status in
	0) report doctor pass "$rung, $(sed -n 's/.*writable trees *//p' doctor.log)" ;;
	4) report doctor refused "${rung:-none}" ;;
	*) report doctor fail "exit $status: $(tail -1 doctor.log)" ;;
	esac
}

mkdir -p "$HOME"
echo -n hunter2 > word
: >> apt.conf
mkdir -p certificates
for c in $CASES; do
	case $c in
	doctor) doctor ;;
	fails) failing ;;
	attacks) attacks ;;
	mounts) image mounts --secret id=word,src=word ;;
	apt) image apt --secret id=apt,src=apt.conf ;;
	packages) image packages --secret id=apt,src=apt.conf ;;
	go | npm) image "$c" --secret id=apt,src=apt.conf --build-context certificates=certificates ;;
	foreign) image foreign --platform linux/arm64 ;;
	*) image "$c" ;;
	esac
done
