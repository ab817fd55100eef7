package fakev4l2

import "golang.org/x/sys/unix"

const sysFstatat = unix.SYS_NEWFSTATAT
