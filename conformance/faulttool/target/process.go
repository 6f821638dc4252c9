// Package target runs what is tested: krab, or upstream's kube-apiserver with three etcd
// members. All of it ends with this program, however that ends.
package target

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a program that can be killed, stopped and started again.
type Process struct {
	Name string
	// command line, and what is added to the environment.
	argv, env []string
	log       string
	// ready says whether it serves.
	ready func() bool

	mu      sync.Mutex
	command *exec.Cmd
	ended   chan struct{}
	// wanted: nobody of ours ended it.
	wanted bool
}

// startTimeout is how long a program may take until it serves.
const startTimeout = 60 * time.Second

// startLines is how much of the log is shown of a start that failed.
const startLines = 5

func newProcess(name, dir string, argv, env []string, ready func() bool) *Process {
	return &Process{Name: name, argv: argv, env: env, log: filepath.Join(dir, name+".log"), ready: ready}
}

// Launch starts the program and does not wait until it serves.
func (p *Process) Launch() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.Command(p.argv[0], p.argv[1:]...)
	command.Env = append(os.Environ(), p.env...)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := command.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	ended := make(chan struct{})
	p.command, p.ended, p.wanted = command, ended, true
	go func() {
		_ = command.Wait()
		close(ended)
	}()
	return nil
}

// Start launches the program and waits until it serves.
func (p *Process) Start() error {
	if err := p.Launch(); err != nil {
		return err
	}
	return p.Await()
}

// Await waits until the program serves.
func (p *Process) Await() error {
	deadline := time.Now().Add(startTimeout)
	for !p.ready() {
		if p.Ended() {
			return fmt.Errorf("%s ended at its start:\n%s", p.Name, p.LogTail(startLines))
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not serve after %v:\n%s", p.Name, startTimeout, p.LogTail(startLines))
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

// Serves says whether the program does what it is there for.
func (p *Process) Serves() bool { return p.ready() }

// Kill ends the program without a word and waits until it is gone.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.command == nil {
		return
	}
	p.wanted = false
	_ = p.command.Process.Kill()
	<-p.ended
}

// Pause stops the program where it is; Resume lets it go on.
func (p *Process) Pause()  { p.signal(syscall.SIGSTOP) }
func (p *Process) Resume() { p.signal(syscall.SIGCONT) }

func (p *Process) signal(signal syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.command != nil {
		_ = p.command.Process.Signal(signal)
	}
}

// Ended says whether the program is gone, by whatever cause.
func (p *Process) Ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone()
}

// EndedItself: it is gone, and nobody of ours did it.
func (p *Process) EndedItself() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone() && p.wanted
}

func (p *Process) gone() bool {
	select {
	case <-p.ended:
		return true
	default:
		return p.ended == nil
	}
}

// lineLength is how much of a line of a log is shown.
const lineLength = 300

// LogTail is the last few lines it said, not all of each.
func (p *Process) LogTail(count int) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	lines = lines[max(0, len(lines)-count):]
	for i, line := range lines {
		lines[i] = line[:min(len(line), lineLength)]
	}
	return strings.Join(lines, "\n")
}
