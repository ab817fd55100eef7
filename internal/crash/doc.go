// Package crash keeps what the Go runtime says when it ends this process: a panic that
// nobody caught, in any goroutine, a fatal error, or the signal of a service manager's
// watchdog. Nothing else is left of such an end, and no code of ours runs in it, so the
// runtime is given a file beforehand ([debug.SetCrashOutput]); the next start finds it.
package crash
