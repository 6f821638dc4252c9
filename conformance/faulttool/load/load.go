package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"krab.dev/conformance/faulttool/history"
)

const (
	// clients is how many make calls, half of them over HTTP/2.
	clients = 8
	// The most bytes of padding in an object: as a rule, and to fill a disk.
	usual, bulky = 1500, 32 << 10
	// patience is how long the end may take: the last writes, and the watchers.
	patience = 60 * time.Second
)

// Load is the clients and watchers of one run.
type Load struct {
	endpoint Endpoint
	history  *history.History
	watchers []*watcher
	workers  []*worker
	// observer makes the calls that belong to nobody, after worker `clients`.
	observer *worker

	stopWorkers, stopWatchers context.CancelFunc
	working, watching         sync.WaitGroup

	padding     atomic.Int64
	notSent     atomic.Int64
	lastFailure atomic.Value
}

// New makes a load; Start lets it go.
func New(endpoint Endpoint, h *history.History, seed uint64) *Load {
	l := &Load{endpoint: endpoint, history: h}
	l.Bulky(false)
	for id := range clients {
		l.workers = append(l.workers, l.worker(id, seed))
	}
	l.observer = l.worker(clients, seed)
	for _, resource := range Resources {
		for number, habit := range habits {
			l.watchers = append(l.watchers, &watcher{
				habit:   habit,
				client:  newClient(endpoint, habit.http2),
				history: h,
				random:  rand.New(rand.NewPCG(seed, uint64(1000+number))),
				stream:  &history.Stream{Watcher: habit.name, Resource: resource, Selecting: habit.selects},
				ready:   make(chan struct{}),
			})
		}
	}
	return l
}

func (l *Load) worker(id int, seed uint64) *worker {
	return &worker{
		id:      id,
		client:  newClient(l.endpoint, id%2 == 0),
		load:    l,
		history: l.history,
		random:  rand.New(rand.NewPCG(seed, uint64(id))),
		known:   map[history.Key]history.Version{},
	}
}

// Bulky makes objects large, or as large as they are as a rule.
func (l *Load) Bulky(on bool) {
	if on {
		l.padding.Store(bulky)
	} else {
		l.padding.Store(usual)
	}
}

// NotSent is how many calls no connection took.
func (l *Load) NotSent() int64 { return l.notSent.Load() }

// Start makes the namespace, waits until every watcher has listed, and lets the clients go.
func (l *Load) Start(ctx context.Context) error {
	namespace := map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]string{"name": Namespace}}
	code, err := l.observer.client.call(ctx, http.MethodPost, "/api/v1/namespaces", nil, "application/json", namespace, &object{})
	if err != nil && code != http.StatusConflict {
		return fmt.Errorf("make namespace %s: %w", Namespace, err)
	}
	watching, stop := context.WithCancel(ctx)
	l.stopWatchers = stop
	for _, w := range l.watchers {
		l.watching.Go(func() { w.run(watching) })
	}
	for _, w := range l.watchers {
		select {
		case <-w.ready:
		case <-time.After(patience):
			return fmt.Errorf("watcher %s on %s has no first listing after %v", w.name, w.stream.Resource, patience)
		}
	}
	working, stop := context.WithCancel(ctx)
	l.stopWorkers = stop
	for _, w := range l.workers {
		l.working.Go(func() { w.run(working) })
	}
	return nil
}

// Probe writes something that counts like every other write, and says whether that was
// acknowledged.
func (l *Load) Probe(ctx context.Context) bool {
	key := history.Key{Resource: ConfigMaps, Name: prefix + "probe"}
	if _, made := l.observer.known[key]; !made {
		return l.observer.create(ctx, key) && l.observer.get(ctx, key)
	}
	before := l.observer.known[key].Revision
	return l.observer.patch(ctx, key) && l.observer.known[key].Revision > before
}

// LastFailure is the last answer 5xx, if there was any since it was last asked for.
func (l *Load) LastFailure() string {
	if text, _ := l.lastFailure.Swap("").(string); text != "" {
		return text
	}
	return "no answer"
}

// Stop ends the clients, looks at everything once more, writes a last change of each
// kind, waits until every watcher has been shown it, and records the watches.
func (l *Load) Stop(ctx context.Context) error {
	l.stopWorkers()
	l.working.Wait()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, resource := range Resources {
		for !l.observer.list(ctx, resource, nil, history.Listing{Consistent: true, Final: true}) {
			if ctx.Err() != nil {
				return fmt.Errorf("no list of %s after the last fault: %s", resource, l.LastFailure())
			}
			wait(ctx, afterFailure)
		}
	}
	for _, resource := range Resources {
		last, err := l.last(ctx, resource)
		if err != nil {
			return err
		}
		for _, w := range l.watchers {
			for w.stream.Resource == resource && w.shown.Load() < last && ctx.Err() == nil {
				wait(ctx, afterFailure)
			}
			w.stream.Unfinished = w.stream.Resource == resource && w.shown.Load() < last || w.stream.Unfinished
		}
	}
	l.stopWatchers()
	l.watching.Wait()
	for _, w := range l.watchers {
		l.history.Stream(w.stream)
	}
	return nil
}

// last makes the last change of a resource, one that every watcher sees, and gives its
// revision.
func (l *Load) last(ctx context.Context, resource string) (uint64, error) {
	for number := 0; ctx.Err() == nil; number++ {
		key := history.Key{Resource: resource, Name: fmt.Sprint(prefix, "last-", number)}
		made := l.observer.create(ctx, key)
		if known := l.observer.known[key]; made && history.Selected(known.Token) {
			return known.Revision, nil
		}
		wait(ctx, afterFailure)
	}
	return 0, fmt.Errorf("no write of %s after the last fault: %s", resource, l.LastFailure())
}
