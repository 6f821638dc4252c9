package load

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"krab.dev/conformance/faulttool/history"
)

const (
	// names is how many objects of each kind the clients fight for.
	names = 12
	// pageSize makes several pages of them.
	pageSize = 5
	// pause is the most a client rests between two calls; on average half of it.
	pause = 20 * time.Millisecond
	// afterFailure is how long it waits when there was no answer.
	afterFailure = 50 * time.Millisecond
)

// worker is one client that makes one call after the other.
type worker struct {
	id      int
	client  *client
	load    *Load
	history *history.History
	random  *rand.Rand
	// known is what it believes, from its own calls.
	known map[history.Key]history.Version
	count int
}

func (w *worker) run(ctx context.Context) {
	for ctx.Err() == nil {
		rest := time.Duration(w.random.Int64N(int64(pause)))
		if !w.once(ctx) {
			rest = afterFailure
		}
		select {
		case <-ctx.Done():
		case <-time.After(rest):
		}
	}
}

// mix is how often what is done, of 100.
var mix = []struct {
	share int
	do    func(*worker, context.Context, history.Key) bool
}{
	{35, (*worker).get},
	{22, (*worker).update},
	{14, (*worker).patch},
	{12, (*worker).create},
	{8, (*worker).delete},
	{3, (*worker).listWhole},
	{3, (*worker).listPages},
	{2, (*worker).listExact},
	{1, (*worker).listAny},
}

// once makes one call, and says whether there was an answer.
func (w *worker) once(ctx context.Context) bool {
	key := history.Key{
		Resource: Resources[w.random.IntN(len(Resources))],
		Name:     fmt.Sprint(prefix, w.random.IntN(names)),
	}
	number := w.random.IntN(100)
	for _, m := range mix {
		if number -= m.share; number < 0 {
			return m.do(w, ctx, key)
		}
	}
	return w.get(ctx, key)
}

func (w *worker) begin(verb history.Verb, key history.Key) history.Call {
	c := history.Call{Client: w.id, Verb: verb, Key: key}
	switch verb {
	case history.Create, history.Update, history.Patch:
		w.count++
		c.Token = fmt.Sprintf("%d.%d", w.id, w.count)
	}
	c.Begin = w.history.Now()
	return c
}

// finish records a call whose answer is in, unless nothing was asked. It says whether
// there was an answer.
func (w *worker) finish(c history.Call, code int, err error) bool {
	c.End, c.Code = w.history.Now(), code
	switch {
	case errors.Is(err, errNotSent):
		w.load.notSent.Add(1)
		return false
	case err == nil:
		c.Result = history.OK
	case code >= 400 && code < 500:
		c.Result = history.Refused
	default:
		if code > 0 {
			w.load.lastFailure.Store(err.Error())
		}
		c.Result = history.Unknown
	}
	w.history.Call(c)
	if c.Key.Name != "" {
		w.learn(c)
	}
	return c.Result != history.Unknown
}

func (w *worker) learn(c history.Call) {
	switch {
	case c.Result == history.OK && c.Verb != history.Delete:
		w.known[c.Key] = c.Answer
	case c.Result == history.OK || c.Code == 404:
		delete(w.known, c.Key)
	}
}

func (w *worker) padding() int { return w.random.IntN(int(w.load.padding.Load())) }

// ask makes a call that is answered with the object, and records it.
func (w *worker) ask(ctx context.Context, c history.Call, method, mediaType string, body any) bool {
	name := c.Key.Name
	if method == http.MethodPost {
		name = ""
	}
	var answer object
	code, err := w.client.call(ctx, method, path(c.Key.Resource, name), nil, mediaType, body, &answer)
	c.Answer = answer.version()
	return w.finish(c, code, err)
}

func (w *worker) get(ctx context.Context, key history.Key) bool {
	return w.ask(ctx, w.begin(history.Get, key), http.MethodGet, "", nil)
}

func (w *worker) create(ctx context.Context, key history.Key) bool {
	c := w.begin(history.Create, key)
	return w.ask(ctx, c, http.MethodPost, "application/json", newObject(key, c.Token, w.padding()))
}

// update writes over the revision last seen; it reads first if it has seen none.
func (w *worker) update(ctx context.Context, key history.Key) bool {
	known, seen := w.known[key]
	if !seen {
		return w.get(ctx, key)
	}
	c := w.begin(history.Update, key)
	c.Precondition = known.Revision
	c.Upsert = key.Resource == Leases
	body := newObject(key, c.Token, w.padding())
	body.Metadata.ResourceVersion = strconv.FormatUint(known.Revision, 10)
	return w.ask(ctx, c, http.MethodPut, "application/json", body)
}

// patch writes whatever is there, or, one time in four, the revision last seen.
func (w *worker) patch(ctx context.Context, key history.Key) bool {
	c := w.begin(history.Patch, key)
	if known, seen := w.known[key]; seen && w.random.IntN(4) == 0 {
		c.Precondition = known.Revision
	}
	return w.ask(ctx, c, http.MethodPatch, "application/merge-patch+json", patchOf(key, c.Token, c.Precondition))
}

// delete takes away what is there, or, half of the time, only the revision last seen.
func (w *worker) delete(ctx context.Context, key history.Key) bool {
	c := w.begin(history.Delete, key)
	var body any
	if known, seen := w.known[key]; seen && w.random.IntN(2) == 0 {
		c.Precondition = known.Revision
		body = map[string]any{
			"apiVersion": "v1", "kind": "DeleteOptions",
			"preconditions": map[string]string{"resourceVersion": strconv.FormatUint(known.Revision, 10)},
		}
	}
	var status object
	code, err := w.client.call(ctx, http.MethodDelete, path(key.Resource, key.Name), nil, "application/json", body, &status)
	if status.Details != nil {
		c.Answer.UID = status.Details.UID
	}
	return w.finish(c, code, err)
}

func (w *worker) listWhole(ctx context.Context, key history.Key) bool {
	return w.list(ctx, key.Resource, url.Values{}, history.Listing{Consistent: true})
}

func (w *worker) listPages(ctx context.Context, key history.Key) bool {
	return w.list(ctx, key.Resource, url.Values{"limit": {strconv.Itoa(pageSize)}}, history.Listing{Consistent: true})
}

// listAny asks for whatever revision is at hand.
func (w *worker) listAny(ctx context.Context, key history.Key) bool {
	return w.list(ctx, key.Resource, url.Values{"resourceVersion": {"0"}}, history.Listing{})
}

// listExact asks for a revision that this client was shown.
func (w *worker) listExact(ctx context.Context, key history.Key) bool {
	revisions := slices.Collect(maps.Values(w.known))
	if len(revisions) == 0 {
		return w.listWhole(ctx, key)
	}
	at := slices.MaxFunc(revisions, func(a, b history.Version) int { return int(a.Revision) - int(b.Revision) }).Revision
	query := url.Values{
		"resourceVersion":      {strconv.FormatUint(at, 10)},
		"resourceVersionMatch": {"Exact"},
	}
	if w.random.IntN(2) == 0 {
		query.Set("limit", strconv.Itoa(pageSize))
	}
	return w.list(ctx, key.Resource, query, history.Listing{Exact: at})
}

// list reads all pages. If one of them fails the whole is worth nothing.
func (w *worker) list(ctx context.Context, resource string, query url.Values, l history.Listing) bool {
	c := w.begin(history.List, history.Key{Resource: resource})
	code, err := w.client.list(ctx, w.history, resource, query, &l)
	if err == nil {
		c.Listing = &l
	}
	return w.finish(c, code, err)
}

// list reads a collection, all its pages, into a listing.
func (c *client) list(ctx context.Context, h *history.History, resource string, query url.Values, l *history.Listing) (int, error) {
	l.Items = map[string]history.Version{}
	for first := true; ; first = false {
		var page list
		code, err := c.call(ctx, http.MethodGet, path(resource, ""), query, "", nil, &page)
		if err != nil {
			return code, err
		}
		if first {
			l.Revision, l.FirstEnd = revision(page.Metadata.ResourceVersion), h.Now()
		} else {
			l.Pages = append(l.Pages, revision(page.Metadata.ResourceVersion))
		}
		for _, item := range page.Items {
			if !item.ours() {
				continue
			}
			if _, there := l.Items[item.Metadata.Name]; there {
				l.Repeated = append(l.Repeated, item.Metadata.Name)
			}
			l.Items[item.Metadata.Name] = item.version()
		}
		if page.Metadata.Continue == "" {
			return code, nil
		}
		query = url.Values{"limit": query["limit"], "continue": {page.Metadata.Continue}}
	}
}
