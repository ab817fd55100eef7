// Package fakev4l2 is webcams for tests: the program under test makes the system calls that
// it makes with real ones, and this package answers them. Seccomp hands it the calls of the
// whole process that concern the cameras' paths, descriptors and mappings, so no kernel
// module and no privilege is needed. Pictures are real and lie in real mappings; any call
// can be made to fail, or to hang.
//
// The calls answered are openat and newfstatat of a camera's path; ioctl, mmap, ppoll and
// close of its descriptors, which have numbers from 512 on; and munmap of its mappings. The
// filter stays with the process for good: [Install] is for TestMain.
package fakev4l2
