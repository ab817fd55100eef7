package main

import (
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// writeProcess tells of the process that listens at a socket.
func writeProcess(w io.Writer, socket string) error {
	c, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return fmt.Errorf("no daemon: %w", err)
	}
	defer c.Close()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	if e := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); e != nil {
		err = e
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "process %d, user %d, group %d\n", peer.Pid, peer.Uid, peer.Gid)
	p := fmt.Sprintf("/proc/%d/", peer.Pid)
	return writeFiles(w, []string{p + "status", p + "limits", p + "cgroup", p + "oom_score_adj", "/sys/fs/cgroup/system.slice/edged.service/memory.*"})
}
