// Package history is what the clients of one run saw: each call with its answer, and
// each step of each watch. It holds no judgement; package check has that.
package history

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Time is how long ago the run began, on a clock that never jumps.
type Time = time.Duration

// Verb is what a call asked for.
type Verb string

const (
	Create Verb = "create"
	Get    Verb = "get"
	Update Verb = "update"
	Patch  Verb = "patch"
	Delete Verb = "delete"
	List   Verb = "list"
)

// Outcome is what a client may conclude from the answer, or from its absence.
type Outcome string

const (
	// OK: the server said that it is done.
	OK Outcome = "ok"
	// Refused: the server said that nothing was changed.
	Refused Outcome = "refused"
	// Unknown: it may have happened, may happen later, or never.
	Unknown Outcome = "unknown"
)

// Version is one state of one object. Every write of the load has a token of its own.
type Version struct {
	Revision uint64 `json:"revision"`
	Token    string `json:"token,omitempty"`
	UID      string `json:"uid,omitempty"`
}

// Key names an object. All are in one namespace.
type Key struct {
	Resource string `json:"resource"`
	Name     string `json:"name,omitempty"`
}

func (k Key) String() string { return k.Resource + "/" + k.Name }

// Call is one request.
type Call struct {
	Client int     `json:"client"`
	Verb   Verb    `json:"verb"`
	Key    Key     `json:"key"`
	Begin  Time    `json:"begin"`
	End    Time    `json:"end"`
	Result Outcome `json:"result"`
	// Code is the status of the answer, 0 if there was none.
	Code int `json:"code,omitempty"`
	// Token is what a create, update or patch writes.
	Token string `json:"token,omitempty"`
	// Precondition is the revision that the object must have, 0 if any will do.
	Precondition uint64 `json:"precondition,omitempty"`
	// Upsert: an update that makes the object if it is absent, whatever its precondition.
	Upsert bool `json:"upsert,omitempty"`
	// Answer is the object in the answer; of a delete, only its UID.
	Answer Version `json:"answer,omitzero"`
	// Listing is the answer of a list.
	Listing *Listing `json:"listing,omitempty"`
}

// Listing is the state of a collection as one list, all its pages, or the beginning of
// a watch showed it.
type Listing struct {
	Revision uint64 `json:"revision"`
	// Consistent: not older than anything acknowledged before Begin.
	Consistent bool `json:"consistent,omitempty"`
	// Exact is the revision asked for, 0 if none was.
	Exact uint64             `json:"exact,omitempty"`
	Items map[string]Version `json:"items"`
	// Pages are the revisions of the pages after the first.
	Pages []uint64 `json:"pages,omitempty"`
	// FirstEnd is when the first page had come: the revision was chosen by then.
	FirstEnd Time `json:"firstEnd"`
	// Repeated names came more than once.
	Repeated []string `json:"repeated,omitempty"`
	// Final: the last look at everything, when no write was under way.
	Final bool `json:"final,omitempty"`
}

// StepKind is what a watcher saw.
type StepKind string

const (
	// Listed: the watcher knows the whole collection at a revision and goes on from there.
	Listed StepKind = "listed"
	// Resumed: a connection was made that begins after Revision.
	Resumed StepKind = "resumed"
	// Expired: the server no longer has what follows the revision the watcher wanted.
	Expired  StepKind = "expired"
	Added    StepKind = "ADDED"
	Modified StepKind = "MODIFIED"
	Deleted  StepKind = "DELETED"
	Bookmark StepKind = "BOOKMARK"
)

// Step is one thing a watcher saw.
type Step struct {
	Kind StepKind `json:"kind"`
	At   Time     `json:"at"`
	Name string   `json:"name,omitempty"`
	// Version of the object; of a bookmark and of Resumed, only the revision.
	Version Version  `json:"version,omitzero"`
	Listing *Listing `json:"listing,omitempty"`
	// Begin is when a listing was asked for.
	Begin Time `json:"begin,omitempty"`
}

// Selected: about half of all tokens. An object with such a token carries the label that
// a selecting watcher asks for, so that objects come into its sight and leave it.
func Selected(token string) bool {
	return token != "" && strings.ContainsRune("02468", rune(token[len(token)-1]))
}

// Stream is all that one watcher saw, in its order, over all its connections.
type Stream struct {
	Watcher  string `json:"watcher"`
	Resource string `json:"resource"`
	// Selecting: asked for Selected objects only. To such a watcher, DELETED also means
	// that an object is no longer selected.
	Selecting bool   `json:"selecting,omitempty"`
	Steps     []Step `json:"steps"`
	// Unfinished: it had not come to the end when the run was over.
	Unfinished bool `json:"unfinished,omitempty"`
}

// Barrier is a time after which a server that keeps its word acknowledges no write
// until Until: its disk had failed to sync.
type Barrier struct {
	From, Until Time
}

// History is one run. Its methods may be called from everywhere.
type History struct {
	mu       sync.Mutex
	begin    time.Time
	calls    []Call
	streams  []*Stream
	barriers []Barrier
}

// New begins a history now.
func New() *History { return &History{begin: time.Now()} }

// Now is the time to be written into records.
func (h *History) Now() Time { return time.Since(h.begin) }

// Call records a call that is over.
func (h *History) Call(c Call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, c)
}

// Stream records all that a watcher saw.
func (h *History) Stream(s *Stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.streams = append(h.streams, s)
}

// Barrier records a failed sync.
func (h *History) Barrier(b Barrier) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.barriers = append(h.barriers, b)
}

// Calls, Streams and Barriers are for after the run: nobody may record any more.
func (h *History) Calls() []Call       { return h.calls }
func (h *History) Streams() []*Stream  { return h.streams }
func (h *History) Barriers() []Barrier { return h.barriers }

// Write gives the history as lines of JSON, calls first.
func (h *History) Write(w io.Writer) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	encoder := json.NewEncoder(w)
	for _, c := range h.calls {
		if err := encoder.Encode(c); err != nil {
			return fmt.Errorf("write history: %w", err)
		}
	}
	for _, s := range h.streams {
		if err := encoder.Encode(s); err != nil {
			return fmt.Errorf("write history: %w", err)
		}
	}
	return nil
}
