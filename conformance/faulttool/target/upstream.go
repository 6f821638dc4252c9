package target

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// etcdMembers is how many there are: one may be lost.
const etcdMembers = 3

// Upstream is kube-apiserver v1.37 with three etcd members, of the programs in a folder.
func Upstream(programs, dir, data string) (*Target, error) {
	members, endpoints, err := etcds(filepath.Join(programs, "etcd"), dir, data)
	if err != nil {
		return nil, err
	}
	server, address, err := apiserver(filepath.Join(programs, "kube-apiserver"), dir, endpoints)
	if err != nil {
		return nil, err
	}
	static := "Go programs do not go through libc, which is where this fault is made"
	lacks := map[string]string{"clock": static, "fsync": static}
	authority := filepath.Join(dir, "pki", "apiserver.crt")
	return &Target{Name: "upstream", Address: address, authority: authority, Server: server, Members: members, Lacks: lacks}, nil
}

func etcds(program, dir, data string) ([]*Process, []string, error) {
	var clients, peers, cluster []string
	for number := range etcdMembers {
		for _, kind := range []*[]string{&clients, &peers} {
			port, err := freePort()
			if err != nil {
				return nil, nil, err
			}
			*kind = append(*kind, fmt.Sprintf("http://127.0.0.1:%d", port))
		}
		cluster = append(cluster, fmt.Sprintf("etcd-%d=%s", number, peers[number]))
	}
	var members []*Process
	for number := range etcdMembers {
		name := fmt.Sprintf("etcd-%d", number)
		argv := []string{
			program, "--name=" + name, "--data-dir=" + filepath.Join(data, name), "--log-level=warn",
			"--listen-client-urls=" + clients[number], "--advertise-client-urls=" + clients[number],
			"--listen-peer-urls=" + peers[number], "--initial-advertise-peer-urls=" + peers[number],
			"--initial-cluster=" + strings.Join(cluster, ","),
		}
		members = append(members, newProcess(name, dir, argv, nil, serves(clients[number]+"/health")))
	}
	return members, clients, nil
}

func apiserver(program, dir string, etcds []string) (*Process, string, error) {
	tokens, err := writeTokens(dir)
	if err != nil {
		return nil, "", err
	}
	key, err := writeKey(dir)
	if err != nil {
		return nil, "", err
	}
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	argv := []string{
		program, "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port),
		// Loopback is refused in the endpoints of the Service "kubernetes".
		"--advertise-address=192.0.2.1",
		"--etcd-servers=" + strings.Join(etcds, ","), "--service-cluster-ip-range=10.96.0.0/16",
		"--cert-dir=" + filepath.Join(dir, "pki"), "--token-auth-file=" + tokens, "--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + key, "--service-account-signing-key-file=" + key,
	}
	return newProcess("kube-apiserver", dir, argv, nil, serves("https://"+address+"/readyz")), address, nil
}

// writeKey makes the key of service account tokens, which nobody asks for.
func writeKey(dir string) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	encoded, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "service-account.key")
	text := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded})
	return path, os.WriteFile(path, text, 0o600)
}
