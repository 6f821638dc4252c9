package check

import (
	"maps"
	"slices"

	"krab.dev/conformance/faulttool/history"
)

// revisions: whoever asks later is not given an older revision.
func (j *judge) revisions() {
	var seen []moment
	for _, c := range j.calls {
		if c.Result != history.OK {
			continue
		}
		seen = append(seen, moment{c.End, c.Answer.Revision})
		if c.Listing != nil {
			seen = append(seen, moment{c.Listing.FirstEnd, c.Listing.Revision})
		}
	}
	for _, s := range j.streams {
		for _, step := range s.Steps {
			switch step.Kind {
			case history.Listed:
				seen = append(seen, moment{step.At, step.Listing.Revision})
			case history.Resumed, history.Expired:
			default:
				seen = append(seen, moment{step.At, step.Version.Revision})
			}
		}
	}
	news := rising(seen)
	for _, c := range j.calls {
		if c.Result != history.OK {
			continue
		}
		known := before(news, c.Begin)
		switch c.Verb {
		case history.Create, history.Update, history.Patch:
			j.checked(RuleRevisions, 1)
			if c.Answer.Revision <= known {
				j.fail(RuleRevisions, "%s of %s at %v was given revision %d; revision %d was known", c.Verb, c.Key, c.Begin, c.Answer.Revision, known)
			}
		case history.List:
			if c.Listing.Consistent {
				j.checked(RuleRevisions, 1)
				if c.Listing.Revision < known {
					j.fail(RuleRevisions, "a list of %s at %v was of revision %d; revision %d was known", c.Key.Resource, c.Begin, c.Listing.Revision, known)
				}
			}
		}
	}
	for _, s := range j.streams {
		for _, step := range s.Steps {
			if step.Kind == history.Listed && step.Listing.Consistent && step.Listing.Revision < before(news, step.Begin) {
				j.fail(RuleRevisions, "watch %s on %s began at revision %d; revision %d was known", s.Watcher, s.Resource,
					step.Listing.Revision, before(news, step.Begin))
			}
		}
	}
}

// lists: each is the state at its revision, as far as nothing can have gone unseen.
func (j *judge) lists() {
	for _, c := range j.calls {
		if c.Verb == history.List && c.Result == history.OK {
			j.listing("a list", c.Key.Resource, c.Listing, false)
		}
	}
	for _, s := range j.streams {
		for _, step := range s.Steps {
			if step.Kind == history.Listed {
				j.listing("watch "+s.Watcher, s.Resource, step.Listing, s.Selecting)
			}
		}
	}
}

func (j *judge) listing(who, resource string, l *history.Listing, selecting bool) {
	rule := RuleLists
	if l.Final {
		rule = RuleWrites
	}
	j.checked(rule, 1)
	if l.Exact > 0 && l.Revision != l.Exact {
		j.fail(RuleLists, "%s of %s asked for revision %d and was given %d", who, resource, l.Exact, l.Revision)
	}
	for _, page := range l.Pages {
		j.checked(RulePages, 1)
		if page != l.Revision {
			j.fail(RulePages, "%s of %s began at revision %d and has a page of %d", who, resource, l.Revision, page)
		}
	}
	for _, name := range l.Repeated {
		j.fail(RulePages, "%s of %s at %d has %s twice", who, resource, l.Revision, name)
	}
	for _, name := range slices.Sorted(maps.Keys(l.Items)) {
		if l.Items[name].Revision > l.Revision {
			j.fail(RuleLists, "%s of %s at %d has %s of revision %d", who, resource, l.Revision, name, l.Items[name].Revision)
		}
	}
	for key := range j.line.byKey {
		if key.Resource != resource {
			continue
		}
		last, known := j.line.at(key, l.Revision)
		found, there := l.Items[key.Name]
		// An older state than a known one is wrong even if some changes went unseen.
		older := there && found.Revision < last.version.Revision
		if !known || !older && !j.line.covers(resource, last.version.Revision, l.Revision) {
			continue
		}
		expected := !last.deleted && (!selecting || history.Selected(last.version.Token))
		switch {
		case !expected && there:
			j.fail(rule, "%s of %s at %d has %s, but %s at %d", who, resource, l.Revision, key, last, last.version.Revision)
		case expected && !there:
			j.fail(rule, "%s of %s at %d is without %s of revision %d", who, resource, l.Revision, last, last.version.Revision)
		case expected && found != last.version:
			j.fail(rule, "%s of %s at %d has %s of revision %d, not of %d", who, resource, l.Revision, last, found.Revision, last.version.Revision)
		}
	}
}
