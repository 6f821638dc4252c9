package check

import (
	"cmp"
	"maps"
	"slices"

	"krab.dev/conformance/faulttool/history"
)

// watches: each stream, by itself and against the timeline.
func (j *judge) watches() {
	for _, s := range j.streams {
		w := watcher{judge: j, stream: s}
		for _, step := range s.Steps {
			w.step(step)
		}
		for _, covered := range spans(s) {
			j.gaps(s, covered)
		}
		if s.Unfinished {
			j.fail(RuleWatches, "watch %s on %s did not come to the last change", s.Watcher, s.Resource)
		}
	}
}

// watcher follows one stream.
type watcher struct {
	*judge
	stream *history.Stream
	// objects as the stream has shown them, nil before the first listing.
	objects map[string]history.Version
	// reached: everything up to and with this revision was shown.
	reached uint64
}

func (w *watcher) fail(rule, format string, values ...any) {
	values = append([]any{w.stream.Watcher, w.stream.Resource}, values...)
	w.judge.fail(rule, "watch %s on %s: "+format, values...)
}

func (w *watcher) step(step history.Step) {
	revision := step.Version.Revision
	switch step.Kind {
	case history.Listed:
		w.objects = maps.Clone(step.Listing.Items)
		if step.Listing.Revision < w.reached {
			w.fail(RuleRevisions, "a listing of revision %d came after revision %d", step.Listing.Revision, w.reached)
		}
		w.reached = step.Listing.Revision
	case history.Resumed:
		w.checked(RuleResumes, 1)
	case history.Expired:
		if w.promises.Resumes {
			w.fail(RuleResumes, "revision %d is gone at %v", w.reached, step.At)
		}
	case history.Bookmark:
		if revision < w.reached {
			w.fail(RuleRevisions, "a bookmark of revision %d came after revision %d", revision, w.reached)
		}
		w.reached = max(w.reached, revision)
	default:
		w.checked(RuleWatches, 1)
		w.event(step)
	}
}

func (w *watcher) event(step history.Step) {
	revision := step.Version.Revision
	switch {
	case revision == w.reached:
		w.fail(RuleWatches, "revision %d (%s %s) came twice, or after a bookmark of it", revision, step.Kind, step.Name)
		return
	case revision < w.reached:
		w.fail(RuleWatches, "revision %d (%s %s) came after revision %d", revision, step.Kind, step.Name, w.reached)
		return
	}
	w.reached = revision
	before, there := w.objects[step.Name]
	switch {
	case w.stream.Selecting && !history.Selected(step.Version.Token):
		w.fail(RuleWatches, "%s was %s at %d as %s, which is not selected", step.Name, step.Kind, revision, step.Version.Token)
	case step.Kind == history.Added && there:
		w.fail(RuleWatches, "%s was ADDED at %d, but it was there", step.Name, revision)
	case step.Kind != history.Added && !there:
		w.fail(RuleWatches, "%s was %s at %d, but it was not there", step.Name, step.Kind, revision)
	case there && before.UID != step.Version.UID:
		w.fail(RuleWatches, "%s became another object at %d without a deletion", step.Name, revision)
	case step.Kind == history.Deleted && before.Token != step.Version.Token:
		w.fail(RuleWatches, "%s was DELETED at %d as %s, but was %s", step.Name, revision, step.Version.Token, before.Token)
	}
	if step.Kind == history.Deleted {
		delete(w.objects, step.Name)
	} else {
		w.objects[step.Name] = step.Version
	}
}

// gaps: each change that anybody knows of, within what the stream says it has shown.
func (j *judge) gaps(s *history.Stream, covered span) {
	shown := map[uint64]bool{}
	for _, step := range s.Steps {
		switch step.Kind {
		case history.Added, history.Modified, history.Deleted:
			shown[step.Version.Revision] = true
		}
	}
	for _, revision := range j.line.within(s.Resource, covered) {
		if !shown[revision] && (!s.Selecting || j.concerns(revision)) {
			j.fail(RuleWatches, "watch %s on %s went from %d to %d without revision %d (%s)",
				s.Watcher, s.Resource, covered.after, covered.to, revision, j.line.changes[revision])
		}
	}
}

// concerns: must a selecting watcher be told of a change? It must if the object is
// selected, or was.
func (j *judge) concerns(revision uint64) bool {
	now := j.line.changes[revision]
	before, known := j.line.at(now.key, revision-1)
	was := known && !before.deleted && history.Selected(before.version.Token)
	return was || !now.deleted && history.Selected(now.version.Token)
}

// moment is when a revision was seen of a key.
type moment struct {
	at       history.Time
	revision uint64
}

// ahead: once a watch has shown a change, a read that begins later shows it too.
func (j *judge) ahead() {
	events := map[history.Key][]moment{}
	for _, s := range j.streams {
		for _, step := range s.Steps {
			switch step.Kind {
			case history.Added, history.Modified, history.Deleted:
				key := history.Key{Resource: s.Resource, Name: step.Name}
				events[key] = append(events[key], moment{step.At, step.Version.Revision})
			}
		}
	}
	for key := range events {
		events[key] = rising(events[key])
	}
	for _, c := range j.calls {
		switch {
		case c.Verb == history.Get && c.Result == history.OK:
			j.notBehind(c, c.Key, c.Answer.Revision, events[c.Key])
		case c.Verb == history.Get && c.Code == 404:
			j.notBehind(c, c.Key, 0, events[c.Key])
		case c.Verb == history.List && c.Result == history.OK && c.Listing.Consistent:
			for name, version := range c.Listing.Items {
				key := history.Key{Resource: c.Key.Resource, Name: name}
				j.notBehind(c, key, version.Revision, events[key])
			}
		}
	}
}

// notBehind: a read found a revision of a key, 0 if it found none.
func (j *judge) notBehind(c history.Call, key history.Key, found uint64, events []moment) {
	shown := before(events, c.Begin)
	j.checked(RuleAhead, 1)
	if shown <= found {
		return
	}
	// Not there, and deleted at what the watch showed or later: that is as it must be.
	revisions := j.line.byKey[key]
	deletedLater := slices.ContainsFunc(revisions, func(r uint64) bool { return r >= shown && j.line.changes[r].deleted })
	if found == 0 && deletedLater {
		return
	}
	j.fail(RuleAhead, "a watch had shown revision %d of %s, and a %s at %v found revision %d", shown, key, c.Verb, c.Begin, found)
}

// rising keeps the moments that were news.
func rising(all []moment) []moment {
	slices.SortStableFunc(all, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	var news []moment
	for _, m := range all {
		if len(news) == 0 || m.revision > news[len(news)-1].revision {
			news = append(news, m)
		}
	}
	return news
}

// before is the newest revision that was seen before a time, 0 if none was.
func before(news []moment, at history.Time) uint64 {
	next, _ := slices.BinarySearchFunc(news, at, func(m moment, at history.Time) int { return cmp.Compare(m.at, at) })
	if next == 0 {
		return 0
	}
	return news[next-1].revision
}
