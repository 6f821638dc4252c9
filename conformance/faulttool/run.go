package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"krab.dev/conformance/faulttool/check"
	"krab.dev/conformance/faulttool/history"
	"krab.dev/conformance/faulttool/inject"
	"krab.dev/conformance/faulttool/load"
	"krab.dev/conformance/faulttool/target"
)

// run does a whole run and says whether everything was as it must be.
func run(ctx context.Context, o options) (bool, error) {
	dir, err := workFolder()
	if err != nil {
		return false, err
	}
	r := &runner{options: o, dir: dir}
	defer r.cleanUp()
	return r.run(ctx)
}

// runner is one run.
type runner struct {
	options
	dir  string
	site inject.Site
	// notRun are the faults that cannot be made here, with the reason.
	notRun map[string]string
	// ended are the programs that ended by themselves.
	ended []string
	// made counts the faults.
	made map[string]int
	// kept: the folder holds something to be looked at.
	kept bool
}

func (r *runner) run(ctx context.Context) (bool, error) {
	if err := r.prepare(); err != nil {
		return false, err
	}
	plan := inject.Plan(r.seed, r.duration, r.faults)
	r.announce(plan)
	if err := r.start(ctx); err != nil {
		return false, err
	}
	begin := time.Now()
	failure := r.inject(ctx, plan, begin)
	if ctx.Err() != nil {
		return false, errors.New("interrupted: nothing was judged")
	}
	if failure == nil {
		failure = r.site.Load.Stop(ctx)
	}
	if failure != nil {
		return false, errors.Join(failure, r.keep())
	}
	report := check.History(r.site.History, check.Promises{Resumes: r.site.Target.Ours})
	return r.judge(report, time.Since(begin))
}

// prepare makes everything that the plan needs, and starts nothing.
func (r *runner) prepare() error {
	// What a target lacks is known only when it is made, and what it is made with
	// depends on the faults: so disk and shim come first, the target takes them.
	data := r.dir
	var preload string
	var env []string
	r.notRun = map[string]string{}
	if os.Geteuid() != 0 {
		for _, f := range slices.Clone(r.faults) {
			if f.NeedsDisk() {
				r.leaveOut(f.Name, "it needs root, to mount a small file system")
			}
		}
	}
	if slices.ContainsFunc(r.faults, (*inject.Fault).NeedsDisk) {
		disk, err := inject.NewDisk(r.dir)
		if err != nil {
			return err
		}
		r.site.Disk, data = disk, disk.Dir
	}
	if r.peer == "" && slices.ContainsFunc(r.faults, (*inject.Fault).NeedsShim) {
		shim, err := inject.NewShim(r.dir)
		if err != nil {
			return err
		}
		r.site.Shim, preload, env = shim, shim.Library, shim.Env()
	}
	var err error
	if r.peer == "upstream" {
		r.site.Target, err = target.Upstream(r.programs, r.dir, data)
	} else {
		r.site.Target, err = target.Krab(r.krab, r.dir, data, preload, env, r.etcd())
	}
	if err != nil {
		return err
	}
	for name, reason := range r.site.Target.Lacks {
		r.leaveOut(name, reason)
	}
	if len(r.faults) == 0 {
		return fmt.Errorf("none of these faults can be made on %s: %v", r.site.Target.Name, r.notRun)
	}
	r.site.Proxy, err = inject.NewProxy(r.site.Target.Address)
	return err
}

// start starts the target and lets the load go.
func (r *runner) start(ctx context.Context) error {
	if err := r.site.Target.Start(); err != nil {
		return err
	}
	roots, err := r.site.Target.Roots()
	if err != nil {
		return err
	}
	r.site.History = history.New()
	endpoint := load.Endpoint{Address: r.site.Proxy.Address(), Token: target.Token, Roots: roots}
	r.site.Load = load.New(endpoint, r.site.History, r.seed)
	return r.site.Load.Start(ctx)
}

func (r *runner) wants(name string) bool {
	return slices.ContainsFunc(r.faults, func(f *inject.Fault) bool { return f.Name == name })
}

func (r *runner) leaveOut(name, reason string) {
	if r.wants(name) {
		r.notRun[name] = reason
		r.faults = slices.DeleteFunc(r.faults, func(f *inject.Fault) bool { return f.Name == name })
	}
}

// inject follows the plan as far as time allows, a line for each fault: recoveries take
// time that is not in the plan.
func (r *runner) inject(ctx context.Context, plan []inject.Step, begin time.Time) error {
	r.made = map[string]int{}
	for _, step := range plan {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(step.Rest):
		}
		at := time.Since(begin)
		if at > r.duration {
			return nil
		}
		text, ended, err := r.site.Inject(ctx, step)
		r.ended = append(r.ended, ended...)
		for _, e := range ended {
			fmt.Println("       ", e)
		}
		if err != nil {
			return err
		}
		r.made[step.Fault.Name]++
		fmt.Printf("%6.1f s  %-11s %s\n", at.Seconds(), step.Fault.Name, text)
	}
	return nil
}

// workFolder makes the folder of this run, and takes away those of runs that were killed.
func workFolder() (string, error) {
	old, err := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*"))
	if err != nil {
		return "", err
	}
	for _, dir := range old {
		// A run that failed keeps what it found; one that lives keeps its lock.
		if _, err := os.Stat(filepath.Join(dir, historyFile)); err == nil {
			continue
		}
		if lock(dir) == nil {
			os.RemoveAll(dir)
		}
	}
	dir, err := os.MkdirTemp("", folderPrefix)
	if err != nil {
		return "", err
	}
	return dir, lock(dir)
}

const (
	folderPrefix = "krab-faults-"
	historyFile  = "history.jsonl"
)

// lock takes a folder for as long as this program lives.
func lock(dir string) error {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	fd := int(file.Fd())
	if err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		return err
	}
	// The descriptor stays open on purpose, and is not closed by a finalizer.
	held = append(held, file)
	return nil
}

var held []*os.File

// cleanUp ends what was started, and takes the folder away unless it is to be kept.
func (r *runner) cleanUp() {
	if r.site.Proxy != nil {
		r.site.Proxy.Close()
	}
	if r.site.Target != nil {
		r.site.Target.Stop()
	}
	if r.site.Disk != nil {
		if err := r.site.Disk.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "conformance/faults: unmount:", err)
		}
		os.Remove(filepath.Join(r.dir, "disk.img"))
	}
	if !r.kept {
		os.RemoveAll(r.dir)
	}
}
