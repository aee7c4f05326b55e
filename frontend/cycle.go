package frontend

import "fmt"

// checkCycles makes sure that no stage copies from itself, by whatever way round.
func (l *lowerer) checkCycles() error {
	visits := map[*stage]visit{}
	for _, s := range l.stages {
		if c := findCycle(visits, s); c != nil {
			return l.file.fail(c.Location(), fmt.Errorf("circular dependency detected on stage: %s", s.label()))
		}
	}
	return nil
}

// visit says how far a stage has been looked at; zero is not yet.
type visit int

const (
	// onPath: the stage is made from the one being looked at.
	onPath visit = iota + 1
	visited
)

// findCycle returns an instruction that closes a circle of stages reached from s, nil if there is none.
func findCycle(visits map[*stage]visit, s *stage) *command {
	if visits[s] == visited {
		return nil
	}
	visits[s] = onPath
	for i := range s.commands {
		for _, source := range s.commands[i].sources {
			if source == nil {
				continue
			}
			if visits[source] == onPath {
				return &s.commands[i]
			}
			if c := findCycle(visits, source); c != nil {
				return c
			}
		}
	}
	visits[s] = visited
	return nil
}
