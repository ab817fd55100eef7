package sim

import "math"

// Shape is what an object is. The shapes present in a room are always distinct,
// so "the ball" names one thing.
type Shape uint8

// The shapes, in the order of the training labels.
const (
	Ball Shape = iota
	Box
	Cone
	Can
	Person
	NumShapes = 5
)

var shapeNames = [NumShapes]string{"ball", "box", "cone", "can", "person"}

func (s Shape) String() string { return shapeNames[s] }

// Color is the colour that the captions speak of; of a person, the clothes.
type Color uint8

// The colours, in the order of the training labels.
const (
	Red Color = iota
	Green
	Blue
	Yellow
	White
	Purple
	NumColors = 6
)

var colorNames = [NumColors]string{"red", "green", "blue", "yellow", "white", "purple"}

func (c Color) String() string { return colorNames[c] }

// Motion is how an object moved since the frame set before, in the axes of the
// front camera.
type Motion uint8

// The motions, in the order of the training labels.
const (
	Still Motion = iota
	Left
	Right
	Closer
	Away
	Entering   // first frame set of this object
	NumMotions = 6
)

var motionWords = [NumMotions]string{"", "moving left", "moving right", "moving closer", "moving away", "entering"}

// step is the displacement of one frame set in floor units.
func (m Motion) step() (dx, dy float64) {
	switch m {
	case Left:
		return -Stride, 0
	case Right:
		return Stride, 0
	case Closer:
		return 0, -Stride
	case Away:
		return 0, Stride
	}
	return 0, 0
}

// Stride is how far a moving object goes between two frame sets, in floor units
// (the floor is [-1,1] x [-1,1]).
const Stride = 0.3

// Reach bounds the floor that objects use: |X|, |Y| <= Reach.
const Reach = 0.8

// Object is one thing or person in the room.
type Object struct {
	ID    int // unique in its world, never reused
	Shape Shape
	Color Color
	X, Y  float64 // floor units; X to the right and Y away, as the front camera sees it
	Face  float64 // heading in radians, counter-clockwise from +X; turns boxes and people
}

// Camera is a pinhole camera with a 4:3 picture.
type Camera struct {
	Name    string
	Pos     [3]float64 // floor units, z up
	Target  [3]float64 // the point in the middle of the picture
	TanHalf float64    // tangent of half the horizontal angle of view
}

// Axes returns a floor position in the camera's own axes: lateral to the right,
// depth away from the camera, both from the middle of the floor.
func (c Camera) Axes(x, y float64) (lateral, depth float64) {
	fx, fy := c.Target[0]-c.Pos[0], c.Target[1]-c.Pos[1]
	n := math.Sqrt(float64(fx*fx) + float64(fy*fy))
	fx, fy = fx/n, fy/n
	return float64(x*fy) - float64(y*fx), float64(x*fx) + float64(y*fy)
}

// Look names the appearance of one room: floor, paint, daylight, exposure,
// sensor noise. Equal seeds look equal on every machine.
type Look struct {
	Seed uint64
}
