package check

import (
	"cmp"
	"maps"
	"slices"
	"sort"

	"krab.dev/conformance/faulttool/history"
)

// change is what happened at one revision.
type change struct {
	key     history.Key
	version history.Version
	deleted bool
}

// span is a range of revisions after `after`, up to and with `to`.
type span struct{ after, to uint64 }

// timeline is what happened at which revision, put together from everything that anybody
// saw of it.
type timeline struct {
	changes map[uint64]change
	// byKey and byResource are the revisions of the changes, rising.
	byKey      map[history.Key][]uint64
	byResource map[string][]uint64
	// tokens says at which revisions a token was written.
	tokens map[string][]uint64
	// seen is when the change of a revision was first known to anybody.
	seen map[uint64]history.Time
	// covered are the revisions in which no change can have gone unseen: a watch had
	// them all. Apart from each other and rising.
	covered map[string][]span
}

func (j *judge) newTimeline() *timeline {
	line := &timeline{
		changes:    map[uint64]change{},
		byKey:      map[history.Key][]uint64{},
		byResource: map[string][]uint64{},
		tokens:     map[string][]uint64{},
		seen:       map[uint64]history.Time{},
		covered:    map[string][]span{},
	}
	for _, c := range j.calls {
		if c.Result == history.OK && c.Verb != history.Delete && c.Verb != history.List && c.Answer.Revision > 0 {
			j.note(line, change{key: c.Key, version: c.Answer}, c.End)
		}
		if c.Listing != nil {
			j.noteListing(line, c.Key.Resource, c.Listing, c.End)
		}
	}
	for _, s := range j.streams {
		for _, step := range s.Steps {
			key := history.Key{Resource: s.Resource, Name: step.Name}
			switch step.Kind {
			case history.Listed:
				j.noteListing(line, s.Resource, step.Listing, step.At)
			case history.Added, history.Modified:
				j.note(line, change{key: key, version: step.Version}, step.At)
			case history.Deleted:
				if s.Selecting {
					// It may still be there, only no longer selected.
					continue
				}
				j.note(line, change{key: key, version: step.Version, deleted: true}, step.At)
			}
		}
		if !s.Selecting {
			line.covered[s.Resource] = append(line.covered[s.Resource], spans(s)...)
		}
	}
	for revision, c := range line.changes {
		line.byKey[c.key] = append(line.byKey[c.key], revision)
		line.byResource[c.key.Resource] = append(line.byResource[c.key.Resource], revision)
		if !c.deleted {
			line.tokens[c.version.Token] = append(line.tokens[c.version.Token], revision)
		}
	}
	for _, revisions := range line.byKey {
		slices.Sort(revisions)
	}
	for _, revisions := range line.byResource {
		slices.Sort(revisions)
	}
	for _, revisions := range line.tokens {
		slices.Sort(revisions)
	}
	for resource, all := range line.covered {
		line.covered[resource] = join(all)
	}
	return line
}

func (j *judge) noteListing(line *timeline, resource string, l *history.Listing, at history.Time) {
	for _, name := range slices.Sorted(maps.Keys(l.Items)) {
		j.note(line, change{key: history.Key{Resource: resource, Name: name}, version: l.Items[name]}, at)
	}
}

func (j *judge) note(line *timeline, c change, at history.Time) {
	revision := c.version.Revision
	before, known := line.changes[revision]
	if !known {
		line.changes[revision] = c
	} else if before != c {
		j.fail(RuleRevisions, "revision %d is two things: %s and %s", revision, before, c)
	}
	if first, known := line.seen[revision]; !known || at < first {
		line.seen[revision] = at
	}
}

func (c change) String() string {
	if c.deleted {
		return c.key.String() + " deleted"
	}
	return c.key.String() + "=" + c.version.Token
}

// spans are the revisions of which a stream saw everything, if it is right.
func spans(s *history.Stream) []span {
	var all []span
	open := false
	for _, step := range s.Steps {
		switch step.Kind {
		case history.Listed:
			all = append(all, span{step.Listing.Revision, step.Listing.Revision})
			open = true
		case history.Expired:
			open = false
		case history.Resumed:
		default:
			if open && step.Version.Revision > all[len(all)-1].to {
				all[len(all)-1].to = step.Version.Revision
			}
		}
	}
	return all
}

// join makes spans that touch into one.
func join(all []span) []span {
	slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.after, b.after) })
	var joined []span
	for _, s := range all {
		if last := len(joined) - 1; last >= 0 && s.after <= joined[last].to {
			joined[last].to = max(joined[last].to, s.to)
			continue
		}
		joined = append(joined, s)
	}
	return joined
}

// covers: is there a watch that had everything after a revision, up to and with another?
func (t *timeline) covers(resource string, after, to uint64) bool {
	return slices.ContainsFunc(t.covered[resource], func(s span) bool { return s.after <= after && to <= s.to })
}

// coveredWhole: one span from the first listing to the last change.
func (t *timeline) coveredWhole(resource string) bool {
	revisions := t.byResource[resource]
	return len(t.covered[resource]) == 1 &&
		(len(revisions) == 0 || revisions[len(revisions)-1] <= t.covered[resource][0].to)
}

// at is the newest change of a key at a revision.
func (t *timeline) at(key history.Key, revision uint64) (change, bool) {
	revisions := t.byKey[key]
	next := sort.Search(len(revisions), func(i int) bool { return revisions[i] > revision })
	if next == 0 {
		return change{}, false
	}
	return t.changes[revisions[next-1]], true
}

// within are the revisions of a resource in a span.
func (t *timeline) within(resource string, s span) []uint64 {
	revisions := t.byResource[resource]
	from := sort.Search(len(revisions), func(i int) bool { return revisions[i] > s.after })
	to := sort.Search(len(revisions), func(i int) bool { return revisions[i] > s.to })
	return revisions[from:max(from, to)]
}
