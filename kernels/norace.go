//go:build !race

package kernels

const race = false

func raceRead[T any]([]T) {}

func raceWrite[T any]([]T) {}

func raceReads[T any](...[]T) {}
