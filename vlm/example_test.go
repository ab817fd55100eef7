package vlm_test

import (
	"context"
	"fmt"
	"image"
	"log"

	"github.com/visualrwkv/edged/camera/sim"
	"github.com/visualrwkv/edged/vlm"
)

// A room with two cameras: what is there now, what has left, and the same memory in
// another stream, as after a restart.
func Example() {
	ctx := context.Background()
	m, err := vlm.Open("../cmd/edged/model/demo-int8.gguf", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	s, err := m.NewStream()
	if err != nil {
		log.Fatal(err)
	}

	world := sim.NewWorld(sim.Config{Seed: 1, Views: 2})
	room := sim.NewRenderer(world.Look(), world.Cameras(), 320, 240)
	for frame := range uint64(9) {
		if frame > 0 {
			world.Step()
		}
		var views []image.Image
		for i := range world.Cameras() {
			img := image.NewRGBA(image.Rect(0, 0, 320, 240))
			room.Render(img, i, world.Objects(nil), frame)
			views = append(views, img)
		}
		if err := s.See(ctx, views...); err != nil { // one frame set
			log.Fatal(err)
		}
	}
	for piece, err := range s.Generate(ctx, m.Config().Caption, nil) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(piece)
	}
	fmt.Println()

	saved := s.State()
	later, err := m.NewStream()
	if err != nil {
		log.Fatal(err)
	}
	if err := later.SetState(saved); err != nil {
		log.Fatal(err)
	}
	answer, err := later.Answer(ctx, "what left the room?", nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer)
	// Output:
	// a white box moving left; the purple can left.
	// the purple can
}
