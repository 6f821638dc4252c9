package target

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Token is the administrator's, on both sides.
const Token = "faults-administrator"

// Target is a running cluster's control plane.
type Target struct {
	Name string
	// Address of the API.
	Address string
	// authority is the file of the certificates by which clients know the server. They
	// read it once: a server that makes new ones loses its clients.
	authority string
	// Server is the program that answers.
	Server *Process
	// Members are the programs that keep the data, where they are others.
	Members []*Process
	// Lacks says of a fault why it cannot be had here.
	Lacks map[string]string
	// Ours: judged by what krab promises beyond what upstream does.
	Ours bool
}

// Processes are all programs, in the order in which they are started.
func (t *Target) Processes() []*Process {
	return append(append([]*Process{}, t.Members...), t.Server)
}

// Start starts everything and waits until it serves.
func (t *Target) Start() error {
	for _, p := range t.Processes() {
		if err := p.Launch(); err != nil {
			return err
		}
	}
	for _, p := range t.Processes() {
		if err := p.Await(); err != nil {
			return err
		}
	}
	return nil
}

// Roots are the certificates by which clients know the server, once it has started.
func (t *Target) Roots() (*x509.CertPool, error) {
	text, err := os.ReadFile(t.authority)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("no certificate in %s", t.authority)
	}
	return roots, nil
}

// Stop ends everything.
func (t *Target) Stop() {
	for _, p := range t.Processes() {
		p.Resume()
		p.Kill()
	}
}

// Krab is a control plane of the program at a path, with data and logs in a folder.
// Preload is a library that the program is started with. Where etcd names a program, three
// members of it hold the data; otherwise the embedded store does.
func Krab(program, dir, data, preload string, env []string, etcd string) (*Target, error) {
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("no krab at %s: build it with 'cargo build -p krab', or give --krab PATH", program)
	}
	tokens, err := writeTokens(dir)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	argv := []string{
		program, "server", "--disable-node", "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port),
		"--data-dir=" + filepath.Join(data, "krab"), "--token-auth-file=" + tokens,
	}
	// The user's own kubeconfig is not ours to change.
	env = append(env, "HOME="+dir)
	if preload != "" {
		env = append(env, "LD_PRELOAD="+preload)
	}
	krab := &Target{Name: "krab", Address: address, Ours: true}
	if etcd == "" {
		krab.Lacks = map[string]string{"etcd-member": "the embedded store has no members: --datastore etcd has"}
	} else {
		var endpoints []string
		if krab.Members, endpoints, err = etcds(etcd, dir, data); err != nil {
			return nil, err
		}
		argv = append(argv, "--etcd-servers="+strings.Join(endpoints, ","))
		krab.Lacks = map[string]string{"fsync": "etcd writes the data, a Go program that does not go through libc"}
	}
	krab.Server = newProcess("krab", dir, argv, env, serves("https://"+address+"/readyz"))
	krab.authority = filepath.Join(data, "krab", "pki", "ca.crt")
	return krab, nil
}

// writeTokens writes the file that names the administrator.
func writeTokens(dir string) (string, error) {
	path := filepath.Join(dir, "tokens.csv")
	return path, os.WriteFile(path, []byte(Token+",admin,admin,system:masters\n"), 0o600)
}

// serves asks a URL for success.
func serves(url string) func() bool {
	client := &http.Client{
		Transport: &http.Transport{
			// A child of ours on loopback.
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
			DisableKeepAlives: true,
		},
		Timeout: time.Second,
	}
	return func() bool {
		request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
		if err != nil {
			return false
		}
		request.Header.Set("Authorization", "Bearer "+Token)
		answer, err := client.Do(request)
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	}
}

// freePort finds one that stays ours while its owner is down: below those that the
// system gives to outgoing connections.
func freePort() (int, error) {
	for range 100 {
		port := 20000 + rand.IntN(12000)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, errors.New("no free port between 20000 and 32000")
}
