package inject

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"unsafe"
)

// diskSize holds what ten minutes of load write, with the logs of three etcd members.
const diskSize = 3 << 30

// Disk is a file system of its own for the data, so that only that can be filled.
type Disk struct {
	Dir           string
	image, filler string
}

// NewDisk makes one in a file and mounts it. The mount is seen in this mount namespace
// only, and goes with it.
func NewDisk(dir string) (*Disk, error) {
	image, mount := filepath.Join(dir, "disk.img"), filepath.Join(dir, "data")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return nil, err
	}
	if err := os.Truncate(image, diskSize); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(mount, 0o700); err != nil {
		return nil, err
	}
	// -m 0: root, too, finds the disk full.
	if err := command("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", image); err != nil {
		return nil, err
	}
	d := &Disk{Dir: mount, image: image, filler: filepath.Join(mount, "filler")}
	return d, d.Mount()
}

// Mount makes the file system visible, after it has replayed its journal.
func (d *Disk) Mount() error { return command("mount", "-o", "loop", d.image, d.Dir) }

func command(name string, arguments ...string) error {
	if output, err := exec.Command(name, arguments...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s (disk-full and power need e2fsprogs and a free loop device; --only chooses other faults)", name, err, output)
	}
	return nil
}

// ext4's ioctl that ends all writing at once, and its flag not to finish the journal
// (EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH).
const (
	ioctlShutdown = 0x8004587d
	noLogFlush    = 2
)

// CutPower ends all writing to the disk as it is: what nobody has synced is lost.
// Nothing can be done with the file system until it is unmounted and mounted again.
func (d *Disk) CutPower() error {
	dir, err := os.Open(d.Dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	flags := uint32(noLogFlush)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, dir.Fd(), ioctlShutdown, uintptr(unsafe.Pointer(&flags))); errno != 0 {
		return fmt.Errorf("shut down %s: %w", d.Dir, errno)
	}
	return nil
}

// Unmount takes the file system away; nobody may use it any more.
func (d *Disk) Unmount() error { return command("umount", d.Dir) }

// Fill takes all the space there is.
func (d *Disk) Fill() error {
	file, err := os.OpenFile(d.filler, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	var end int64
	for step := int64(diskSize); step >= 4096; {
		err := syscall.Fallocate(int(file.Fd()), 0, end, step)
		switch {
		case err == nil:
			end += step
		case errors.Is(err, syscall.ENOSPC):
			step /= 2
		case !errors.Is(err, syscall.EINTR):
			return fmt.Errorf("fill the disk: %w", err)
		}
	}
	return nil
}

// Free gives the space back.
func (d *Disk) Free() error { return os.Remove(d.filler) }

// Close takes the mount away.
func (d *Disk) Close() error { return syscall.Unmount(d.Dir, syscall.MNT_DETACH) }
