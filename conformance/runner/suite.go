package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// suite is one run of upstream's e2e.test.
type suite struct {
	bin        string // folder of upstream's programs
	out        string // takes the reports and the output
	kubeconfig string
	nodes      int // of the cluster
	parallel   int // processes
	timeout    time.Duration
	enter      []string // the command that runs another inside the cluster's network; empty for this one
	extra      []string // flags for e2e.test
}

// Names in one --focus flag: an argument may not be longer than 128 KiB.
const namesPerFocus = 100

// Without nodes the framework must be told that none are needed.
var zeroNodeFlags = []string{"--num-nodes=2", "--allowed-not-ready-nodes=-1", "--minStartupPods=-1"}

// command is the line that runs the tests.
func (s suite) command(tests []test) []string {
	line := append([]string{}, s.enter...)
	line = append(line, filepath.Join(s.bin, "ginkgo"), fmt.Sprintf("--procs=%d", s.parallel), "--timeout="+s.timeout.String(), "--no-color")
	for start := 0; start < len(tests); start += namesPerFocus {
		var names []string
		for _, t := range tests[start:min(start+namesPerFocus, len(tests))] {
			names = append(names, regexp.QuoteMeta(t.name))
		}
		// A name may be the beginning of another's.
		line = append(line, "--focus=("+strings.Join(names, "|")+")$")
	}
	line = append(line, filepath.Join(s.bin, "e2e.test"), "--",
		"--kubeconfig="+s.kubeconfig, "--provider=skeleton", "--kubectl-path="+filepath.Join(s.bin, "kubectl"),
		"--report-dir="+s.out, "--disable-log-dump", "--dump-logs-on-failure=false")
	if s.nodes == 0 {
		line = append(line, zeroNodeFlags...)
	}
	return append(line, s.extra...)
}

// run runs the tests and reads what became of them. A signal to us ends the suite, which then still reports what it did.
func (s suite) run(tests []test) (results, []string, error) {
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return nil, nil, err
	}
	log, err := os.Create(filepath.Join(s.out, "ginkgo.log"))
	if err != nil {
		return nil, nil, err
	}
	defer log.Close()

	line := s.command(tests)
	suite := exec.Command(line[0], line[1:]...)
	suite.Stdout, suite.Stderr = log, log
	// A group of its own: the terminal's Ctrl-C reaches it once, through us. It ends with us even when we are killed, which
	// the kernel ties to the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	suite.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := suite.Start(); err != nil {
		return nil, nil, fmt.Errorf("cannot start %s: %w", line[0], err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	done := make(chan error, 1)
	go func() { done <- suite.Wait() }()

	for {
		select {
		case <-signals:
			fmt.Fprintln(os.Stderr, "ending the suite; what has run is kept")
			syscall.Kill(-suite.Process.Pid, syscall.SIGINT)
		case err := <-done:
			// Its exit code says that tests failed, which the report says better.
			if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
				return nil, nil, err
			}
			return readReports(s.out, today())
		}
	}
}
