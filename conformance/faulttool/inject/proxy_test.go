package inject

import (
	"io"
	"net"
	"testing"
	"time"
)

// echo answers with what it is sent, until the test ends.
func echo(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				_, _ = io.Copy(connection, connection)
			}()
		}
	}()
	return listener.Addr().String()
}

func through(t *testing.T) (*Proxy, net.Conn) {
	proxy, err := NewProxy(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	connection, err := net.Dial("tcp", proxy.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return proxy, connection
}

// ask sends a word and gives what comes back.
func ask(connection net.Conn) (string, error) {
	if _, err := connection.Write([]byte("word")); err != nil {
		return "", err
	}
	answer := make([]byte, 4)
	_, err := io.ReadFull(connection, answer)
	return string(answer), err
}

func TestBytesPass(t *testing.T) {
	_, connection := through(t)
	if answer, err := ask(connection); answer != "word" || err != nil {
		t.Errorf("%q %v", answer, err)
	}
}

func TestADroppedConnectionEndsAndANewOneIsRefusedForAWhile(t *testing.T) {
	proxy, connection := through(t)
	if _, err := ask(connection); err != nil {
		t.Fatal(err)
	}
	proxy.Refuse(true)
	proxy.Drop()
	if answer, err := ask(connection); err == nil {
		t.Errorf("%q came over a dropped connection", answer)
	}
	for _, refuse := range []bool{true, false} {
		proxy.Refuse(refuse)
		again, err := net.Dial("tcp", proxy.Address())
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := ask(again); (err != nil) != refuse {
			t.Errorf("refuse %v: %q %v", refuse, answer, err)
		}
		again.Close()
	}
}

func TestAStalledConnectionPassesNothingUntilItGoesOn(t *testing.T) {
	proxy, connection := through(t)
	end := proxy.Stall()
	answered := make(chan error, 1)
	go func() {
		_, err := ask(connection)
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Errorf("an answer passed: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	end()
	if err := <-answered; err != nil {
		t.Error(err)
	}
}
