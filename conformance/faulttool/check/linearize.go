package check

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"krab.dev/conformance/faulttool/history"
)

// patience is how long the search for an order may take for one object.
const patience = 60 * time.Second

// object is the state of one object: what the model steps through.
type object struct {
	exists bool
	token  string
	uid    string
	// revision of the last write known; it stays after a deletion.
	revision uint64
}

// model says what each call may do and what it may then answer.
var model = porcupine.Model{
	Init: func() any { return object{} },
	Step: func(state, input, _ any) (bool, any) {
		ok, next := step(state.(object), input.(history.Call))
		return ok, next
	},
	DescribeOperation: func(input, _ any) string { return describe(input.(history.Call)) },
	DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state) },
}

func step(now object, c history.Call) (bool, object) {
	if c.Result == history.Unknown {
		return true, attempt(now, c)
	}
	matches := c.Precondition == 0 || now.revision == c.Precondition
	written := object{exists: true, token: c.Answer.Token, uid: c.Answer.UID, revision: c.Answer.Revision}
	switch {
	case c.Verb == history.Get && c.Result == history.OK:
		return now == written, now
	case c.Result == history.Refused && c.Code == 404:
		return !now.exists && !c.Upsert, now
	case c.Result == history.Refused && c.Verb == history.Create:
		return now.exists, now
	case c.Result == history.Refused:
		return now.exists && !matches, now
	case c.Verb == history.Create, c.Upsert && !now.exists:
		return !now.exists && written.revision > now.revision, written
	case c.Verb == history.Delete:
		same := c.Answer.UID == "" || now.uid == "" || now.uid == c.Answer.UID
		return now.exists && matches && same, object{revision: now.revision}
	default:
		same := now.uid == "" || now.uid == written.uid
		return now.exists && matches && same && written.revision > now.revision, written
	}
}

// attempt is what a call does that may have happened, if it happens now. Nobody saw its
// token, or it would count as acknowledged at that revision.
func attempt(now object, c history.Call) object {
	matches := now.exists && (c.Precondition == 0 || now.revision == c.Precondition)
	switch {
	case (c.Verb == history.Create || c.Upsert) && !now.exists:
		return object{exists: true, token: c.Token, revision: now.revision}
	case c.Verb == history.Delete && matches:
		return object{revision: now.revision}
	case (c.Verb == history.Update || c.Verb == history.Patch) && matches:
		return object{exists: true, token: c.Token, uid: now.uid, revision: now.revision}
	}
	return now
}

// linearizable: for each object there is an order of its calls that agrees with real time.
func (j *judge) linearizable() {
	byKey := j.operations()
	// Two at a time: the machines this runs on have two cores.
	var group sync.WaitGroup
	var mu sync.Mutex
	slots := make(chan struct{}, 2)
	for key, operations := range byKey {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			result := porcupine.CheckOperationsTimeout(model, operations, patience)
			mu.Lock()
			defer mu.Unlock()
			j.checked(RuleLinear, len(operations))
			switch result {
			case porcupine.Illegal:
				j.fail(RuleLinear, "no order of the %d calls on %s explains their answers; it breaks near %s",
					len(operations), key, breaks(operations))
			case porcupine.Unknown:
				j.fail(RuleLinear, "not decided for %s within %v (%d calls)", key, patience, len(operations))
			}
		})
	}
	group.Wait()
}

// operations are the calls on each object, as porcupine takes them. A consistent list is
// a read of every object there ever was.
func (j *judge) operations() map[history.Key][]porcupine.Operation {
	byKey := map[history.Key][]porcupine.Operation{}
	for _, c := range j.calls {
		switch {
		case c.Verb == history.Delete && c.Result == history.Unknown && j.line.coveredWhole(c.Key.Resource):
			// Of these the deletions that somebody saw count, below.
		case c.Verb != history.List:
			if operation, counts := j.operation(c); counts {
				byKey[c.Key] = append(byKey[c.Key], operation)
			}
		case c.Result == history.OK && c.Listing.Consistent:
			for key := range j.line.byKey {
				if key.Resource == c.Key.Resource {
					byKey[key] = append(byKey[key], operation(read(c, key), int64(c.Listing.FirstEnd)))
				}
			}
		}
	}
	for _, c := range j.unclaimed() {
		byKey[c.Key] = append(byKey[c.Key], operation(c, int64(c.End)))
	}
	return byKey
}

// read is what a list says of one object.
func read(list history.Call, key history.Key) history.Call {
	c := history.Call{Client: list.Client, Verb: history.Get, Key: key, Begin: list.Begin, End: list.Listing.FirstEnd}
	if found, there := list.Listing.Items[key.Name]; there {
		c.Result, c.Answer = history.OK, found
	} else {
		c.Result, c.Code = history.Refused, 404
	}
	return c
}

// unclaimed are the deletions that a watch saw and nobody was told of: each is the work
// of a delete whose answer was lost, and happened between its call and the event.
func (j *judge) unclaimed() []history.Call {
	claimed := map[string]bool{}
	lost := map[history.Key][]history.Call{}
	for _, c := range j.calls {
		switch {
		case c.Verb == history.Delete && c.Result == history.OK:
			claimed[c.Answer.UID] = true
		case c.Verb == history.Delete && c.Result == history.Unknown:
			lost[c.Key] = append(lost[c.Key], c)
		}
	}
	var deletes []history.Call
	for _, revision := range slices.Sorted(maps.Keys(j.line.changes)) {
		deletion, seen := j.line.changes[revision], j.line.seen[revision]
		if !deletion.deleted || claimed[deletion.version.UID] || !j.line.coveredWhole(deletion.key.Resource) {
			continue
		}
		// Calls are in the order of their beginnings: the first leaves most room.
		candidates := lost[deletion.key]
		if len(candidates) == 0 || candidates[0].Begin > seen {
			j.fail(RuleWrites, "%s was deleted at revision %d by nobody", deletion.key, revision)
			continue
		}
		c := candidates[0]
		c.Result, c.End, c.Precondition = history.OK, seen, 0
		c.Answer = history.Version{UID: deletion.version.UID}
		deletes = append(deletes, c)
	}
	return deletes
}

// operation is a call as porcupine takes it, and whether it says anything at all.
func (j *judge) operation(c history.Call) (porcupine.Operation, bool) {
	switch c.Result {
	case history.Refused:
		// Other refusals (429, 403, ...) say nothing about the object.
		return operation(c, int64(c.End)), c.Code == 404 || c.Code == 409
	case history.OK:
		return operation(c, int64(c.End)), true
	}
	if c.Verb == history.Get {
		return porcupine.Operation{}, false
	}
	if at := j.line.tokens[c.Token]; c.Token != "" && len(at) > 0 {
		// It happened, and before anybody saw it.
		c.Result, c.Answer = history.OK, j.line.changes[at[0]].version
		return operation(c, max(int64(c.Begin), int64(j.line.seen[at[0]]))), true
	}
	// A watch that had everything and did not have it: it never happened.
	if c.Token != "" && j.line.coveredWhole(c.Key.Resource) {
		return porcupine.Operation{}, false
	}
	return operation(c, math.MaxInt64), true
}

func operation(c history.Call, until int64) porcupine.Operation {
	return porcupine.Operation{ClientId: c.Client, Input: c, Call: int64(c.Begin), Return: until}
}

// breaks names the first call to return of those that fit into no order.
func breaks(operations []porcupine.Operation) string {
	_, info := porcupine.CheckOperationsVerbose(model, operations, patience)
	var longest []int
	for _, partial := range info.PartialLinearizations()[0] {
		if len(partial) > len(longest) {
			longest = partial
		}
	}
	fits := map[int]bool{}
	for _, id := range longest {
		fits[id] = true
	}
	first := -1
	for id, o := range operations {
		if !fits[id] && (first < 0 || o.Return < operations[first].Return) {
			first = id
		}
	}
	if first < 0 {
		return "its end"
	}
	return describe(operations[first].Input.(history.Call))
}

func describe(c history.Call) string {
	return fmt.Sprintf("%s %s %s precondition %d: %s %d %s@%d, %v to %v", c.Verb, c.Key, c.Token, c.Precondition,
		c.Result, c.Code, c.Answer.Token, c.Answer.Revision, c.Begin.Round(time.Microsecond), c.End.Round(time.Microsecond))
}
