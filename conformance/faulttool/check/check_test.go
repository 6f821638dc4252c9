package check

import (
	"slices"
	"strings"
	"testing"
	"time"

	"krab.dev/conformance/faulttool/history"
)

// story tells a history step by step: each thing takes a millisecond, a millisecond
// after the one before.
type story struct {
	calls    []history.Call
	stream   history.Stream
	others   []*history.Stream
	barriers []history.Barrier
	now      history.Time
	promises Promises
}

const resource = "configmaps"

var key = history.Key{Resource: resource, Name: "key-0"}

// newStory begins with an empty collection at revision 1, and one watch of it.
func newStory() *story {
	s := &story{promises: Promises{Resumes: true}}
	s.stream = history.Stream{Watcher: "w", Resource: resource}
	s.watched(history.Step{Kind: history.Listed, Listing: &history.Listing{Revision: 1, Consistent: true}})
	return s
}

func version(revision uint64, token string) history.Version {
	return history.Version{Revision: revision, Token: token, UID: "u"}
}

func (s *story) tick() history.Time {
	s.now += time.Millisecond
	return s.now
}

func (s *story) watched(step history.Step) {
	if step.Listing != nil && step.Listing.Items == nil {
		step.Listing.Items = map[string]history.Version{}
	}
	step.Begin, step.At = s.tick(), s.tick()
	s.stream.Steps = append(s.stream.Steps, step)
}

// event of the one object.
func (s *story) event(kind history.StepKind, v history.Version) {
	s.watched(history.Step{Kind: kind, Name: key.Name, Version: v})
}

// call fills in the times, the key and the token.
func (s *story) call(c history.Call) {
	c.Key = key
	if c.Verb == history.Create || c.Verb == history.Update || c.Verb == history.Patch {
		c.Token = max(c.Token, c.Answer.Token)
	}
	if c.Result == "" {
		c.Result = history.OK
	}
	c.Begin, c.End = s.tick(), s.tick()
	s.calls = append(s.calls, c)
}

// created and patched are writes that only their client hears of, read is what a read found.
func (s *story) created(revision uint64, token string) {
	s.call(history.Call{Verb: history.Create, Answer: version(revision, token)})
}

func (s *story) patched(revision uint64, token string) {
	s.call(history.Call{Verb: history.Patch, Answer: version(revision, token)})
}

func (s *story) read(revision uint64, token string) {
	s.call(history.Call{Verb: history.Get, Answer: version(revision, token)})
}

func (s *story) bookmark(revision uint64) {
	s.watched(history.Step{Kind: history.Bookmark, Version: history.Version{Revision: revision}})
}

func (s *story) list(l history.Listing) {
	c := history.Call{Verb: history.List, Key: history.Key{Resource: resource}, Result: history.OK, Listing: &l}
	c.Begin, c.End = s.tick(), s.tick()
	l.FirstEnd = c.End
	s.calls = append(s.calls, c)
}

// write is a create or update that everybody hears of.
func (s *story) write(revision uint64, token string) {
	verb, kind := history.Patch, history.Modified
	if len(s.calls) == 0 {
		verb, kind = history.Create, history.Added
	}
	s.call(history.Call{Verb: verb, Answer: version(revision, token)})
	s.event(kind, version(revision, token))
}

// judge gives the rules that are broken.
func (s *story) judge() []string {
	h := history.New()
	for _, c := range s.calls {
		h.Call(c)
	}
	h.Stream(&s.stream)
	for _, other := range s.others {
		h.Stream(other)
	}
	for _, b := range s.barriers {
		h.Barrier(b)
	}
	var rules []string
	for _, v := range History(h, s.promises).Violations {
		rules = append(rules, v.Rule)
	}
	slices.Sort(rules)
	return slices.Compact(rules)
}

// breaks: these rules are broken, and no others.
func (s *story) breaks(t *testing.T, rules ...string) {
	t.Helper()
	slices.Sort(rules)
	if found := s.judge(); !slices.Equal(found, rules) {
		t.Errorf("broken: %s\nexpected: %s", strings.Join(found, "; "), strings.Join(rules, "; "))
	}
}

func TestARightHistoryPasses(t *testing.T) {
	s := newStory()
	s.write(2, "a")
	s.write(4, "b")
	s.read(4, "b")
	s.list(history.Listing{Revision: 5, Consistent: true, Items: map[string]history.Version{key.Name: version(4, "b")}})
	s.list(history.Listing{Revision: 3, Exact: 3, Items: map[string]history.Version{key.Name: version(2, "a")}})
	s.watched(history.Step{Kind: history.Resumed, Version: history.Version{Revision: 4}})
	s.call(history.Call{Verb: history.Delete, Answer: history.Version{UID: "u"}})
	s.event(history.Deleted, version(6, "b"))
	s.call(history.Call{Verb: history.Get, Result: history.Refused, Code: 404})
	s.bookmark(9)
	s.breaks(t)
}

func TestAWriteOfUnknownOutcomeMayOrMayNotHaveHappened(t *testing.T) {
	lost := history.Call{Verb: history.Patch, Token: "x", Result: history.Unknown}
	never := newStory()
	never.write(2, "a")
	never.call(lost)
	never.read(2, "a")
	never.breaks(t)

	late := newStory()
	late.write(2, "a")
	late.call(lost)
	late.read(2, "a")
	late.event(history.Modified, version(3, "x"))
	late.read(3, "x")
	late.breaks(t)
}

func TestADeleteOfUnknownOutcomeMayHaveHappened(t *testing.T) {
	s := newStory()
	s.write(2, "a")
	s.call(history.Call{Verb: history.Delete, Result: history.Unknown})
	s.event(history.Deleted, version(3, "a"))
	s.call(history.Call{Verb: history.Get, Result: history.Refused, Code: 404})
	s.breaks(t)
}

// defects are what a server may do wrong, told one at a time, and the rules that it breaks. Most begin with an object that
// everybody knows at revision 2.
var defects = []struct {
	name  string
	tell  func(*story)
	rules []string
}{
	{"a deletion that nobody asked for", func(s *story) {
		s.write(2, "a")
		s.event(history.Deleted, version(3, "a"))
	}, []string{RuleWrites}},
	{"a write that is lost, although a watch had shown it", func(s *story) {
		s.write(2, "a")
		s.write(3, "b")
		s.read(2, "a")
	}, []string{RuleLinear, RuleAhead}},
	{"a write that the last list has not", func(s *story) {
		s.created(2, "a")
		s.list(history.Listing{Revision: 3, Consistent: true, Final: true, Items: map[string]history.Version{}})
		s.bookmark(4)
	}, []string{RuleWrites, RuleLinear, RuleWatches}},
	{"a stale read", func(s *story) {
		s.created(2, "a")
		s.patched(3, "b")
		s.read(2, "a")
		s.event(history.Added, version(2, "a"))
		s.event(history.Modified, version(3, "b"))
	}, []string{RuleLinear}},
	{"an update over another revision than it names", func(s *story) {
		s.write(2, "a")
		s.write(3, "b")
		s.call(history.Call{Verb: history.Update, Precondition: 2, Answer: version(4, "c")})
		s.event(history.Modified, version(4, "c"))
	}, []string{RuleLinear}},
	{"a refused write that happened", func(s *story) {
		s.write(2, "a")
		s.call(history.Call{Verb: history.Patch, Token: "x", Result: history.Refused, Code: 429})
		s.event(history.Modified, version(3, "x"))
	}, []string{RuleWrites}},
	{"a write that happened twice", func(s *story) {
		s.write(2, "a")
		s.write(3, "b")
		s.event(history.Modified, version(4, "b"))
	}, []string{RuleWrites}},
	{"a watch with a gap", func(s *story) {
		s.write(2, "a")
		s.patched(3, "b")
		s.write(4, "c")
	}, []string{RuleWatches}},
	{"a gap across a resumption", func(s *story) {
		s.write(2, "a")
		s.patched(3, "b")
		s.watched(history.Step{Kind: history.Resumed, Version: history.Version{Revision: 2}})
		s.bookmark(3)
	}, []string{RuleWatches}},
	{"an event that comes twice", func(s *story) {
		s.write(2, "a")
		s.event(history.Modified, version(2, "a"))
	}, []string{RuleWatches}},
	{"events out of order", func(s *story) {
		s.created(2, "a")
		s.patched(3, "b")
		s.event(history.Added, version(3, "b"))
		s.event(history.Modified, version(2, "a"))
	}, []string{RuleWatches}},
	{"a deletion that a watch does not show", func(s *story) {
		another := history.Version{Revision: 4, Token: "b", UID: "u2"}
		s.write(2, "a")
		s.call(history.Call{Verb: history.Delete, Answer: history.Version{UID: "u"}})
		s.call(history.Call{Verb: history.Create, Answer: another})
		s.event(history.Modified, another)
	}, []string{RuleWatches}},
	{"a bookmark ahead of the events", func(s *story) {
		s.write(2, "a")
		s.patched(3, "b")
		s.bookmark(3)
		s.event(history.Modified, version(3, "b"))
	}, []string{RuleWatches}},
	{"a watch ahead of reads, of a write that is acknowledged later", func(s *story) {
		s.write(2, "a")
		begin := s.now
		s.event(history.Modified, version(3, "b"))
		s.read(2, "a")
		s.patched(3, "b")
		s.calls[len(s.calls)-1].Begin = begin
	}, []string{RuleAhead}},
	{"a revision that goes back", func(s *story) {
		s.write(9, "a")
		s.patched(5, "b")
	}, []string{RuleRevisions, RuleLinear, RuleWatches}},
	{"a list of an older revision than is known", func(s *story) {
		s.write(5, "a")
		s.list(history.Listing{Revision: 3, Consistent: true, Items: map[string]history.Version{}})
	}, []string{RuleRevisions, RuleLinear}},
	{"lists that are not the state at their revision", func(s *story) {
		s.write(2, "a")
		s.write(3, "b")
		s.list(history.Listing{Revision: 2, Exact: 2, Items: map[string]history.Version{key.Name: version(3, "b")}})
		s.list(history.Listing{Revision: 2, Exact: 2, Items: map[string]history.Version{}})
	}, []string{RuleLists}},
	{"pages of different revisions", func(s *story) {
		s.write(2, "a")
		s.list(history.Listing{Revision: 2, Consistent: true, Items: only(2, "a"), Pages: []uint64{2, 3}})
	}, []string{RulePages}},
	{"an object on two pages", func(s *story) {
		s.write(2, "a")
		s.list(history.Listing{Revision: 2, Consistent: true, Items: only(2, "a"), Repeated: []string{key.Name}})
	}, []string{RulePages}},
	{"a selecting watch that shows what is not selected", func(s *story) {
		s.selecting()
		s.write(3, "x.3")
	}, []string{RuleWatches}},
	{"a watch that stops short", func(s *story) {
		s.write(2, "a")
		s.stream.Unfinished = true
	}, []string{RuleWatches}},
}

// only is a collection that has nothing but the one object.
func only(revision uint64, token string) map[string]history.Version {
	return map[string]history.Version{key.Name: version(revision, token)}
}

func TestEachDefectIsFoundByItsRules(t *testing.T) {
	for _, d := range defects {
		t.Run(d.name, func(t *testing.T) {
			s := newStory()
			d.tell(s)
			s.breaks(t, d.rules...)
		})
	}
}

func TestARevisionGivenTwiceIsFound(t *testing.T) {
	s := newStory()
	s.write(2, "a")
	s.patched(2, "b")
	if found := s.judge(); !slices.Contains(found, RuleRevisions) {
		t.Errorf("broken: %v", found)
	}
}

func TestAWatchThatMustBeginAnewIsFoundWhereItIsPromisedNot(t *testing.T) {
	s := newStory()
	s.write(2, "a")
	s.watched(history.Step{Kind: history.Expired})
	s.watched(history.Step{Kind: history.Listed, Listing: &history.Listing{
		Revision: 2, Consistent: true, Items: map[string]history.Version{key.Name: version(2, "a")},
	}})
	s.breaks(t, RuleResumes)
	s.promises = Promises{}
	s.breaks(t)
}

// selecting makes the story's watch one that asks for selected objects, those whose
// tokens end in an even number; another watch has everything.
func (s *story) selecting() (everything *history.Stream) {
	everything = &history.Stream{Watcher: "all", Resource: resource, Steps: slices.Clone(s.stream.Steps)}
	s.stream.Selecting = true
	s.others = append(s.others, everything)
	return everything
}

func TestASelectingWatchSeesObjectsComeAndGo(t *testing.T) {
	for _, gap := range []bool{false, true} {
		s := newStory()
		all := s.selecting()
		s.write(2, "x.2")
		all.Steps = append(all.Steps, s.stream.Steps[len(s.stream.Steps)-1])
		s.patched(3, "x.3")
		all.Steps = append(all.Steps, history.Step{Kind: history.Modified, At: s.tick(), Name: key.Name, Version: version(3, "x.3")})
		if !gap {
			s.event(history.Deleted, version(3, "x.2"))
		}
		s.read(3, "x.3")
		s.bookmark(3)
		if gap {
			s.breaks(t, RuleWatches)
		} else {
			s.breaks(t)
		}
	}
}

func TestAnAcknowledgementAfterAFailedSyncIsFound(t *testing.T) {
	s := newStory()
	s.write(2, "a")
	s.barriers = append(s.barriers, history.Barrier{From: s.now, Until: s.now + time.Second})
	s.read(2, "a")
	s.breaks(t)
	s.write(3, "b")
	s.breaks(t, RuleDurable)
}
