package load

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"krab.dev/conformance/faulttool/history"
)

// habit is how a watcher goes about it.
type habit struct {
	name  string
	http2 bool
	// streams: begins with a watch that sends the objects there are, not with a list.
	streams bool
	// lasts is the most seconds it asks a connection to last.
	lasts int
	// selects: asks for the objects with a label.
	selects bool
	// naps: now and then reads nothing for so long.
	naps time.Duration
}

// habits of the watchers on each resource.
var habits = []habit{
	{name: "reflector", http2: true, lasts: 60},
	{name: "streaming", http2: true, streams: true, lasts: 20},
	{name: "restless", http2: false, lasts: 2},
	{name: "selecting", http2: true, selects: true, lasts: 30},
	{name: "slow", http2: false, lasts: 30, naps: 2 * time.Second},
}

// watcher follows one resource from its first listing to the end of the run, resuming
// from the last revision it was shown.
type watcher struct {
	habit
	client  *client
	history *history.History
	random  *rand.Rand
	stream  *history.Stream
	// listed: has a revision to go on from.
	listed  bool
	reached uint64
	// shown is `reached` for others to look at.
	shown atomic.Uint64
	// ready is closed after the first listing.
	ready chan struct{}
}

// errExpired: the server no longer has what follows our revision.
var errExpired = errors.New("expired")

type event struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

// status as it comes in an event of type ERROR.
type status struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (w *watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := w.follow(ctx)
		if errors.Is(err, errExpired) {
			w.step(history.Step{Kind: history.Expired})
			w.listed = false
		} else if err != nil {
			wait(ctx, afterFailure)
		}
	}
}

// follow makes one connection and reads it to its end.
func (w *watcher) follow(ctx context.Context) error {
	if w.listed {
		query := w.query()
		query.Set("resourceVersion", strconv.FormatUint(w.reached, 10))
		return w.watch(ctx, query, nil)
	}
	listing := &history.Listing{Consistent: true, Items: map[string]history.Version{}}
	if w.streams {
		return w.watch(ctx, url.Values{"sendInitialEvents": {"true"}, "resourceVersionMatch": {"NotOlderThan"}}, listing)
	}
	begin := w.history.Now()
	if _, err := w.client.list(ctx, w.history, w.stream.Resource, w.query(), listing); err != nil {
		return err
	}
	w.begins(begin, listing)
	return nil
}

// query is what every request of the watcher asks for.
func (w *watcher) query() url.Values {
	if w.selects {
		return url.Values{"labelSelector": {selector}}
	}
	return url.Values{}
}

// begins: the whole collection is known.
func (w *watcher) begins(begin history.Time, listing *history.Listing) {
	w.listed = true
	w.reach(listing.Revision)
	w.step(history.Step{Kind: history.Listed, Begin: begin, Listing: listing})
	select {
	case <-w.ready:
	default:
		close(w.ready)
	}
}

// watch reads one connection; into a listing first, if there is one to be filled.
func (w *watcher) watch(ctx context.Context, query url.Values, listing *history.Listing) error {
	lasts := 1 + w.random.IntN(w.lasts)
	query.Set("watch", "true")
	query.Set("allowWatchBookmarks", "true")
	query.Set("timeoutSeconds", strconv.Itoa(lasts))
	// A connection on which nothing comes any more, not even its end.
	ctx, cancel := context.WithTimeout(ctx, time.Duration(lasts)*time.Second+w.naps+callTimeout)
	defer cancel()
	begin := w.history.Now()
	answer, err := w.client.send(ctx, http.MethodGet, path(w.stream.Resource, ""), query, "", nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusGone:
		return errExpired
	case answer.StatusCode != http.StatusOK:
		return errors.New(answer.Status)
	}
	if listing == nil {
		w.step(history.Step{Kind: history.Resumed, Version: history.Version{Revision: w.reached}})
	}
	frames := json.NewDecoder(answer.Body)
	for {
		var frame event
		if err := frames.Decode(&frame); err != nil {
			return err
		}
		if frame.Type == "ERROR" {
			var why status
			if json.Unmarshal(frame.Object, &why) == nil && why.Code == http.StatusGone {
				return errExpired
			}
			return errors.New(why.Message)
		}
		var seen object
		if err := json.Unmarshal(frame.Object, &seen); err != nil {
			return err
		}
		if listing != nil {
			if w.initial(begin, history.StepKind(frame.Type), seen, listing) {
				listing = nil
			}
			continue
		}
		w.event(history.StepKind(frame.Type), seen)
		if w.naps > 0 && w.random.IntN(200) == 0 {
			wait(ctx, w.naps)
		}
	}
}

// initial takes an object of before the watch, and says whether that was the end of them.
func (w *watcher) initial(begin history.Time, kind history.StepKind, seen object, listing *history.Listing) bool {
	if kind == history.Bookmark {
		if seen.Metadata.Annotations["k8s.io/initial-events-end"] != "true" {
			return false
		}
		listing.Revision, listing.FirstEnd = revision(seen.Metadata.ResourceVersion), w.history.Now()
		w.begins(begin, listing)
		return true
	}
	if seen.ours() {
		if _, there := listing.Items[seen.Metadata.Name]; there {
			listing.Repeated = append(listing.Repeated, seen.Metadata.Name)
		}
		listing.Items[seen.Metadata.Name] = seen.version()
	}
	return false
}

func (w *watcher) event(kind history.StepKind, seen object) {
	version := seen.version()
	step := history.Step{Kind: kind, Name: seen.Metadata.Name, Version: version}
	w.reach(version.Revision)
	if kind == history.Bookmark || seen.ours() {
		w.step(step)
	}
}

func (w *watcher) reach(revision uint64) {
	w.reached = revision
	w.shown.Store(revision)
}

func (w *watcher) step(s history.Step) {
	s.At = w.history.Now()
	w.stream.Steps = append(w.stream.Steps, s)
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
