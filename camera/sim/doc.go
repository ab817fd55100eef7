// Package sim is a simulated room seen by two to four virtual cameras: objects
// and people that stand, move, enter, leave and hide behind each other. It draws
// the pictures, and it knows the truth: the canonical caption of each frame set
// and the answers to questions. The demo watches it, and the demo model was
// trained on nothing else.
package sim
