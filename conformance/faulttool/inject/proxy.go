package inject

import (
	"errors"
	"net"
	"sync"
	"time"
)

// Proxy passes bytes between the clients and the server, and does to them what networks do.
type Proxy struct {
	listener net.Listener
	server   string

	mu sync.Mutex
	// open are the connections, both ends.
	open map[net.Conn]struct{}
	// refuse: nobody gets through.
	refuse bool
	// delay is how long each piece is held back.
	delay time.Duration
	// stalled is closed when bytes may pass again.
	stalled chan struct{}
}

// pieceSize is the most bytes that are passed at once.
const pieceSize = 32 << 10

// NewProxy listens on a port of its own.
func NewProxy(server string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: listener, server: server, open: map[net.Conn]struct{}{}, stalled: make(chan struct{})}
	close(p.stalled)
	go p.accept()
	return p, nil
}

// Address is where the clients go.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Close ends it.
func (p *Proxy) Close() {
	p.listener.Close()
	p.Drop()
}

// Drop closes all connections, with whatever is on its way in them.
func (p *Proxy) Drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		c.Close()
	}
}

// Refuse lets nobody through, or everybody again.
func (p *Proxy) Refuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}

// Delay holds each piece back for so long.
func (p *Proxy) Delay(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = delay
}

// Stall lets nothing through and closes nothing; the func it gives ends that.
func (p *Proxy) Stall() (end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	stalled := make(chan struct{})
	p.stalled = stalled
	return func() { close(stalled) }
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			go p.serve(client)
		}
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	p.mu.Lock()
	refuse := p.refuse
	p.mu.Unlock()
	if refuse {
		return
	}
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	p.open[client], p.open[server] = struct{}{}, struct{}{}
	p.mu.Unlock()
	// When one direction ends, both do: half a connection is of use to nobody here.
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			p.pass(way[0], way[1])
			done <- struct{}{}
		}()
	}
	<-done
	client.Close()
	server.Close()
	<-done
	p.mu.Lock()
	delete(p.open, client)
	delete(p.open, server)
	p.mu.Unlock()
}

func (p *Proxy) pass(from, to net.Conn) {
	piece := make([]byte, pieceSize)
	for {
		count, err := from.Read(piece)
		if err != nil {
			return
		}
		p.mu.Lock()
		delay, stalled := p.delay, p.stalled
		p.mu.Unlock()
		time.Sleep(delay)
		<-stalled
		if _, err := to.Write(piece[:count]); err != nil {
			return
		}
	}
}
