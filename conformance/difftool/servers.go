package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// start is how long a server may take to become ready.
const start = 90 * time.Second

// users of both servers; the token is made from the name, since the servers are on loopback and live for a minute.
var users = map[string]string{
	"admin": "system:masters",
	"alice": "developers",
	"bob":   "",
}

// lab starts and ends servers. Everything of theirs is in its folder.
type lab struct {
	folder string
	// upstream is the command hack/upstream, krab the program.
	upstream, krab string
	stops          []func()
}

// tokens writes the users as a file for --token-auth-file.
func (l *lab) tokens() (string, map[string]string, error) {
	tokens := map[string]string{}
	text := ""
	for user, groups := range users {
		tokens[user] = user + "-token"
		text += fmt.Sprintf("%s,%s,%s-uid", tokens[user], user, user)
		if groups != "" {
			text += fmt.Sprintf(",%q", groups)
		}
		text += "\n"
	}
	file := filepath.Join(l.folder, "tokens.csv")
	return file, tokens, os.WriteFile(file, []byte(text), 0o600)
}

// startUpstream starts etcd and kube-apiserver.
func (l *lab) startUpstream(ctx context.Context, name string) (*peer, error) {
	file, tokens, err := l.tokens()
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(l.folder, name)
	up := exec.CommandContext(ctx, l.upstream, "up", dir, "--port", ports[0], "--etcd-port", ports[1],
		"--etcd-peer-port", ports[2], "--", "--token-auth-file="+file)
	up.Stderr = os.Stderr
	l.stops = append(l.stops, func() {
		if err := exec.Command(l.upstream, "down", dir).Run(); err != nil {
			fmt.Fprintf(os.Stderr, "hack/upstream down %s: %v\n", dir, err)
		}
	})
	if err := up.Run(); err != nil {
		return nil, fmt.Errorf("hack/upstream up: %w", err)
	}
	return newPeer(name, ports[0], tokens), nil
}

// startKrab starts krab's control plane without its controllers: nothing but requests changes what it holds.
func (l *lab) startKrab(ctx context.Context, name string) (*peer, error) {
	file, tokens, err := l.tokens()
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(l.folder, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "krab.log"))
	if err != nil {
		return nil, err
	}
	// The settings are those of hack/upstream.
	krab := exec.Command(l.krab, "server", "--disable-node", "--disable=scheduler,controller-manager,kube-proxy,dns",
		"--data-dir="+filepath.Join(dir, "data"), "--bind-address=127.0.0.1", "--secure-port="+ports[0],
		"--advertise-address=192.0.2.1", "--service-cluster-ip-range=10.96.0.0/16", "--token-auth-file="+file)
	krab.Env = append(os.Environ(), "HOME="+dir)
	krab.Stdout, krab.Stderr = log, log
	krab.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := krab.Start(); err != nil {
		return nil, fmt.Errorf("%s does not start: %w", l.krab, err)
	}
	ended := make(chan struct{})
	go func() { _ = krab.Wait(); close(ended) }()
	l.stops = append(l.stops, func() {
		_ = krab.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = krab.Process.Kill()
		}
	})
	p := newPeer(name, ports[0], tokens)
	return p, p.await(ctx, ended, log.Name())
}

// stop ends everything that was started.
func (l *lab) stop() {
	for _, stop := range l.stops {
		stop()
	}
}

func newPeer(name, port string, tokens map[string]string) *peer {
	transport := &http.Transport{
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2:  true,
		DisableCompression: true,
	}
	redirects := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &peer{
		called: name, url: "https://127.0.0.1:" + port, tokens: tokens,
		http: &http.Client{Transport: transport, CheckRedirect: redirects},
	}
}

// await waits until the server is ready and what it makes at its start is there.
func (p *peer) await(ctx context.Context, ended <-chan struct{}, log string) error {
	ctx, cancel := context.WithTimeout(ctx, start)
	defer cancel()
	session := newSession(p, "")
	for _, path := range []string{
		"/readyz", "/api/v1/namespaces/kube-node-lease", "/api/v1/namespaces/default/services/kubernetes",
		"/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/rolebindings/system:controller:token-cleaner",
		"/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical",
	} {
		for {
			answer, err := session.send(ctx, &step{Do: "GET " + path})
			if err == nil && answer.status == http.StatusOK {
				break
			}
			select {
			case <-ended:
				return fmt.Errorf("%s ended; its log is %s", p.called, log)
			case <-ctx.Done():
				return fmt.Errorf("%s does not answer GET %s with 200 (its log is %s): %w", p.called, path, log, ctx.Err())
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	return nil
}

// freePorts finds ports nobody listens on.
func freePorts(count int) ([]string, error) {
	var ports []string
	var open []net.Listener
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(errors.New("no free port on 127.0.0.1"), err)
		}
		open = append(open, listener)
		_, port, err := net.SplitHostPort(listener.Addr().String())
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	for _, listener := range open {
		_ = listener.Close()
	}
	return ports, nil
}
