// Package seccomp is for tests: it hands system calls of a process to a program that answers
// them, another process or the same. No kernel module and no privilege is needed. There is
// none under emulation.
package seccomp
