package frontend

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// lintUnknownVariables finds variables of an instruction that have no value.
func (s *state) lintUnknownVariables(c instructions.Command, unknown map[string]struct{}) {
	for _, name := range sorted(unknown) {
		if _, declared := s.args.Get(name); declared || !environmental(name) {
			continue
		}
		rule := &linter.RuleUndefinedVar
		s.lint.Run(rule, c.Location(), rule.Format(name, s.expand.similar(name, s.env.names)))
	}
}

// lintSecret finds variables that by their names hold secrets.
func (s *state) lintSecret(instruction, name string, place []parser.Range) {
	if secretName(name) {
		rule := &linter.RuleSecretsUsedInArgOrEnv
		s.lint.Run(rule, place, rule.Format(instruction, name))
	}
}

// secretName reports whether a name has one of the words that secrets are called by at its beginning or its
// end, or between underscores, and none that says that it is not the secret itself.
func secretName(name string) bool {
	secret := false
	for word := range strings.SplitSeq(strings.ToLower(name), "_") {
		switch word {
		case "apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token":
			secret = true
		case "public", "file", "version":
			return false
		}
	}
	return secret
}

// lintOnce finds instructions of which only the last in a stage counts. It is the earlier one that is
// reported, because it is without effect.
func (s *state) lintOnce(c instructions.Command, earlier *[]parser.Range) {
	if *earlier != nil {
		rule := &linter.RuleMultipleInstructionsDisallowed
		s.lint.Run(rule, *earlier, rule.Format(c.Name()))
	}
	*earlier = c.Location()
}

// lintShellForm finds commands of the image that a shell would have to run.
func (s *state) lintShellForm(c instructions.Command) {
	if len(s.image.Config.Shell) == 0 {
		s.lint.Run(&linter.RuleJSONArgsRecommended, c.Location(), linter.RuleJSONArgsRecommended.Format(c.Name()))
	}
}

// lintLegacyPair finds names and values with a space between them.
func (s *state) lintLegacyPair(c instructions.Command, pair instructions.KeyValuePair) {
	if pair.NoDelim {
		s.lint.Run(&linter.RuleLegacyKeyValueFormat, c.Location(), linter.RuleLegacyKeyValueFormat.Format(c.Name()))
	}
}
