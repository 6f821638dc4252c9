package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Users that tests of runAsUser and supplemental groups look for, and critest's.
const (
	passwd = `root:x:0:0:root:/root:/bin/sh
www-data:x:33:33::/var/www:/bin/false
nobody:x:65534:65534::/nonexistent:/bin/false
user-defined-in-image:x:1000:1000::/:/bin/sh
`
	group = `root:x:0:
www-data:x:33:
nogroup:x:65534:
user-defined-in-image:x:1000:
group-defined-in-image:x:50000:user-defined-in-image
`
)

// Debian's ash drops environment variables whose names are no shell identifiers
// (data-1), which `sh -c env` must show; bash and dash word errors differently.
//
//go:embed busybox/sh.c
var shellSource []byte

// debian has what tests run with exec: a shell, dig, curl, nc, ss, netstat, socat, iperf, getent, ipcs.
var debian = layer{name: "debian", fill: func(w *workshop, t *tree) error {
	err := w.unpack(t, "bash", "dash", "coreutils", "bind9-dnsutils", "curl", "netcat-openbsd",
		"iproute2", "net-tools", "socat", "libc-bin", "util-linux", "sed", "grep", "findutils", "procps",
		"mawk", "iperf", "hostname", "login", "passwd", "base-files")
	if err != nil {
		return err
	}
	// What the packages' scripts would have done.
	t.symlink("/bin/sh", "dash")
	t.symlink("/bin/nc", "nc.openbsd")
	t.symlink("/usr/bin/awk", "mawk")
	t.symlink("/usr/local/bin/iperf", "/usr/bin/iperf")
	t.dir("/tmp", sticky|0o777)
	t.file("/etc/passwd", 0o644, []byte(passwd))
	t.file("/etc/group", 0o644, []byte(group))
	t.file("/etc/nsswitch.conf", 0o644, []byte("hosts: files dns\n"))
	t.file("/etc/hosts", 0o644, nil)
	return nil
}}

var agnhost = []layer{debian, {name: "agnhost", programs: []string{"agnhost"}, fill: func(w *workshop, t *tree) error {
	t.symlink("/agnhost-2", "agnhost")
	t.dir("/uploads", 0o755)
	t.dir("/var/registry", 0o755)
	// The StatefulSet tests move this file to make a readiness probe fail.
	t.file("/index.html", 0o644, []byte("<html>agnhost</html>\n"))
	// The image volume test looks for upstream's base image by these words.
	t.file("/etc/os-release", 0o644, []byte("PRETTY_NAME=\"Alpine Linux (not really)\"\nID=debian\n"))
	for _, name := range []string{"localhost.crt", "localhost.key"} {
		if err := t.copy("/"+name, 0o644, w.upstream("test/images/agnhost/porter/"+name)); err != nil {
			return err
		}
	}
	return t.copy("/agnhost", 0o755, w.program("agnhost"))
}}}

var busybox = layer{name: "busybox", fill: func(w *workshop, t *tree) error {
	packages := &tree{}
	if err := w.unpack(packages, "busybox-static"); err != nil {
		return err
	}
	binary, ok := packages.entries["/bin/busybox"]
	if !ok {
		return errors.New("the package busybox-static has no /bin/busybox")
	}
	applets, err := appletsOf(binary.content)
	if err != nil {
		return err
	}
	for _, name := range applets {
		t.link("/bin/"+name, "/bin/busybox")
	}
	// After the links: busybox and sh are among its applets.
	t.file("/bin/busybox", 0o755, binary.content)
	shell, err := compileC(shellSource)
	if err != nil {
		return err
	}
	t.file("/bin/sh", 0o755, shell)
	for _, name := range []string{"/etc", "/root", "/home", "/usr", "/var", "/dev", "/proc", "/sys"} {
		t.dir(name, 0o755)
	}
	t.dir("/tmp", sticky|0o777)
	t.symlink("/usr/bin", "../bin")
	t.file("/etc/passwd", 0o644, []byte(passwd))
	t.file("/etc/group", 0o644, []byte(group))
	return nil
}}

// applets are what critest runs and Debian's busybox is built without.
var applets = layer{name: "applets", fill: func(_ *workshop, t *tree) error {
	t.file("/bin/ipcs", 0o755, []byte("#!/bin/sh\nexec cat /proc/sysvipc/shm\n"))
	t.file("/bin/pgrep", 0o755, []byte(`#!/bin/sh
status=1
for process in /proc/[0-9]*; do
	grep -q "$1" "$process/comm" 2>/dev/null && status=0 && echo "${process#/proc/}"
done
exit "$status"
`))
	return nil
}}

// nginx is Debian's, with one page on one port.
func nginx(port int) layer {
	return layer{name: fmt.Sprintf("nginx-%d", port), fill: func(w *workshop, t *tree) error {
		if err := w.unpack(t, "nginx-light"); err != nil {
			return err
		}
		t.dir("/run", 0o755)
		t.symlink("/var/run", "/run")
		t.dir("/var/log/nginx", 0o755)
		t.file("/srv/index.html", 0o644, []byte("<html>nginx</html>\n"))
		t.file("/etc/nginx/nginx.conf", 0o644, fmt.Appendf(nil,
			"pid /var/run/nginx.pid; events {} http { server { listen %d; root /srv; } }\n", port))
		return nil
	}}
}

// foreground starts nginx.
var foreground = []string{"nginx", "-g", "daemon off;"}

// nnp says whether it could become root.
var nnp = program("nnp", "/usr/local/bin/nnp", setuid|0o755)

var pause = layer{name: "pause", fill: func(w *workshop, t *tree) error {
	source, err := os.ReadFile(w.upstream("build/pause/linux/pause.c"))
	if err != nil {
		return err
	}
	binary, err := compileC(source, "-DVERSION=3.10.2")
	if err != nil {
		return err
	}
	t.file("/pause", 0o755, binary)
	return nil
}}

// html is the web page of one of upstream's picture images.
func html(name string) layer {
	return layer{name: name, fill: func(w *workshop, t *tree) error {
		paths, err := filepath.Glob(w.upstream("test/images/" + name + "/html/*"))
		if err != nil {
			return err
		}
		for _, path := range paths {
			if err := t.copy("/"+filepath.Base(path), 0o644, path); err != nil {
				return err
			}
		}
		return nil
	}}
}

// program is a layer of a single program made by conformance/build.
func program(name, path string, mode int64) layer {
	return layer{name: name, programs: []string{name}, fill: func(w *workshop, t *tree) error {
		t.dir("/tmp", sticky|0o777)
		return t.copy(path, mode, w.program(name))
	}}
}

// conformance is upstream's suite with what runs it, under all the names it is called by.
var conformance = layer{name: "conformance", programs: []string{"ginkgo", "e2e.test", "kubectl", "go-runner"}, fill: func(w *workshop, t *tree) error {
	for _, name := range []string{"ginkgo", "e2e.test", "kubectl"} {
		if err := t.copy("/usr/local/bin/"+name, 0o755, w.program(name)); err != nil {
			return err
		}
	}
	t.symlink("/run_e2e.sh", "gorunner")
	t.symlink("/usr/local/bin/kubeconformance", "/gorunner")
	return t.copy("/gorunner", 0o755, w.program("go-runner"))
}}

// appletsOf asks a busybox binary which commands it is.
func appletsOf(binary []byte) ([]string, error) {
	dir, err := os.MkdirTemp("", "busybox")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "busybox")
	if err := os.WriteFile(path, binary, 0o755); err != nil {
		return nil, err
	}
	out, err := exec.Command(path, "--list").Output()
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(out)), nil
}

// compileC makes a static program of one source file.
func compileC(source []byte, flags ...string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "compile")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	in, out := filepath.Join(dir, "in.c"), filepath.Join(dir, "out")
	if err := os.WriteFile(in, source, 0o644); err != nil {
		return nil, err
	}
	args := append(flags, "-Os", "-static", "-s", "-o", out, in)
	if err := run(exec.Command("cc", args...)); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}
