package inject

import (
	"context"
	"fmt"
	"time"

	"krab.dev/conformance/faulttool/history"
	"krab.dev/conformance/faulttool/load"
	"krab.dev/conformance/faulttool/target"
)

// Site is where faults are made. Disk and Shim are nil if no fault of the plan needs them.
type Site struct {
	Target  *target.Target
	Proxy   *Proxy
	Disk    *Disk
	Shim    *Shim
	Load    *load.Load
	History *history.History
}

// recovery is how long it may take until a write is acknowledged again.
const recovery = 60 * time.Second

// Inject does one step, restores what ended by itself, and waits until writes are
// acknowledged again. It gives a line for the report, and what ended.
func (s *Site) Inject(ctx context.Context, step Step) (text string, ended []string, err error) {
	s.Load.LastFailure()
	text, err = step.Fault.inject(s, step)
	if err != nil {
		return text, nil, fmt.Errorf("%s: %w", step.Fault.Name, err)
	}
	healed := time.Now()
	for _, p := range s.Target.Processes() {
		if p.EndedItself() {
			ended = append(ended, fmt.Sprintf("%s ended by itself: %s", p.Name, p.LogTail(1)))
			if err := p.Launch(); err != nil {
				return text, ended, err
			}
		}
	}
	for !s.Load.Probe(ctx) {
		if time.Since(healed) > recovery {
			return text, ended, fmt.Errorf("%s: no write is acknowledged %v after its end: %s", step.Fault.Name, recovery, s.Load.LastFailure())
		}
		select {
		case <-ctx.Done():
			return text, ended, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return fmt.Sprintf("%s; writes again after %.2f s", text, time.Since(healed).Seconds()), ended, nil
}

// some of the target's programs: the server, or now and then all of them.
func (s *Site) some(step Step) []*target.Process {
	if step.Variant < 2 {
		return s.Target.Processes()
	}
	return []*target.Process{s.Target.Server}
}

func kill(s *Site, step Step) (string, error) {
	return restart(s.some(step), step.Lasts)
}

// restart kills programs and starts them again after a while.
func restart(programs []*target.Process, down time.Duration) (string, error) {
	for _, p := range programs {
		p.Kill()
	}
	time.Sleep(down)
	for _, p := range programs {
		if err := p.Launch(); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s killed, down for %v", names(programs), down), nil
}

func pause(s *Site, step Step) (string, error) {
	programs := s.some(step)
	for _, p := range programs {
		p.Pause()
	}
	time.Sleep(step.Lasts)
	for _, p := range programs {
		p.Resume()
	}
	return fmt.Sprintf("%s stopped for %v", names(programs), step.Lasts), nil
}

func drop(s *Site, step Step) (string, error) {
	s.Proxy.Refuse(true)
	s.Proxy.Drop()
	time.Sleep(step.Lasts)
	s.Proxy.Refuse(false)
	return fmt.Sprintf("connections closed, none taken for %v", step.Lasts), nil
}

func stall(s *Site, step Step) (string, error) {
	end := s.Proxy.Stall()
	time.Sleep(step.Lasts)
	if step.Variant < 3 {
		// Closed before the gate opens: what was on its way is lost.
		s.Proxy.Drop()
		end()
		return fmt.Sprintf("nothing passed for %v, then connections closed", step.Lasts), nil
	}
	end()
	return fmt.Sprintf("nothing passed for %v, then all of it", step.Lasts), nil
}

func delay(s *Site, step Step) (string, error) {
	by := 20*time.Millisecond + time.Duration(step.Amount*float64(280*time.Millisecond)).Round(time.Millisecond)
	s.Proxy.Delay(by)
	time.Sleep(step.Lasts)
	s.Proxy.Delay(0)
	return fmt.Sprintf("each piece held back by %v for %v", by, step.Lasts), nil
}

func power(s *Site, step Step) (string, error) {
	programs := s.Target.Processes()
	// Stopped first, so that nobody acts on what the disk says without power.
	for _, p := range programs {
		p.Pause()
	}
	if err := s.Disk.CutPower(); err != nil {
		return "", err
	}
	for _, p := range programs {
		p.Kill()
	}
	time.Sleep(step.Lasts)
	if err := s.Disk.Unmount(); err != nil {
		return "", err
	}
	if err := s.Disk.Mount(); err != nil {
		return "", err
	}
	for _, p := range programs {
		if err := p.Launch(); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("no power for %v", step.Lasts), nil
}

func diskFull(s *Site, step Step) (string, error) {
	if err := s.Disk.Fill(); err != nil {
		return "", err
	}
	// Large objects, or what is free inside the files would do for a while.
	s.Load.Bulky(true)
	defer s.Load.Bulky(false)
	time.Sleep(step.Lasts)
	killed, err := s.killNowAndThen(step)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("no space for %v%s; clients were told: %s", step.Lasts, killed, s.Load.LastFailure()), s.Disk.Free()
}

// killNowAndThen restarts the server within another fault: it must start there, too.
func (s *Site) killNowAndThen(step Step) (string, error) {
	if step.Variant >= 2 {
		return "", nil
	}
	text, err := restart([]*target.Process{s.Target.Server}, 0)
	time.Sleep(step.Lasts / 2)
	return ", " + text, err
}

// farthest is how far a clock jumps.
const farthest = 2 * time.Hour

func clock(s *Site, step Step) (string, error) {
	offset := time.Duration((2*step.Amount - 1) * float64(farthest)).Round(time.Second)
	if err := s.Shim.Clock(offset); err != nil {
		return "", err
	}
	time.Sleep(step.Lasts)
	killed, err := s.killNowAndThen(step)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("clock off by %v for %v%s, and right again", offset, step.Lasts, killed), s.Shim.Clock(0)
}

// healthDelay is how long /readyz may not know of a failed sync.
const healthDelay = 5 * time.Second

func failSync(s *Site, step Step) (string, error) {
	before, err := s.Shim.FailedSyncs()
	if err != nil {
		return "", err
	}
	if err := s.Shim.FailSync(true); err != nil {
		return "", err
	}
	var failed history.Time
	for waited := time.Duration(0); waited < step.Lasts || failed == 0 && waited < 10*time.Second; waited += time.Millisecond {
		if now, err := s.Shim.FailedSyncs(); err != nil {
			return "", err
		} else if failed == 0 && now > before {
			failed = s.History.Now()
		}
		time.Sleep(time.Millisecond)
	}
	if err := s.Shim.FailSync(false); err != nil {
		return "", err
	}
	if failed == 0 {
		return "", fmt.Errorf("%s did not sync within 10 s of writing", s.Target.Server.Name)
	}
	// From here on its disk would sync again; what failed to sync may still be lost.
	time.Sleep(step.Lasts)
	for waited := time.Duration(0); s.Target.Server.Serves(); waited += 50 * time.Millisecond {
		if waited > healthDelay {
			return "", fmt.Errorf("%s says that it is ready, %v after its disk failed to sync", s.Target.Server.Name, healthDelay)
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.History.Barrier(history.Barrier{From: failed, Until: s.History.Now()})
	killed, err := restart([]*target.Process{s.Target.Server}, 0)
	return fmt.Sprintf("fsync failed for %v, then not ready; clients were told: %s; then %s", step.Lasts, s.Load.LastFailure(), killed), err
}

func etcdMember(s *Site, step Step) (string, error) {
	member := s.Target.Members[step.Variant%len(s.Target.Members)]
	if step.Amount < 0.5 {
		return restart([]*target.Process{member}, step.Lasts)
	}
	member.Pause()
	time.Sleep(step.Lasts)
	member.Resume()
	return fmt.Sprintf("%s stopped for %v", member.Name, step.Lasts), nil
}

func names(programs []*target.Process) string {
	if len(programs) == 1 {
		return programs[0].Name
	}
	return fmt.Sprintf("all %d programs", len(programs))
}
