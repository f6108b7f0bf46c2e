package portal

// A Note says at the head of a page what was just done.
type Note struct {
	Text    string
	Caution bool  // something is to be looked at
	Undo    *Undo // nil where it cannot be taken back so easily
}

// An Undo is a form of one button that takes back what was done.
type Undo struct {
	Action string // path below the portal
	Name   string // of its one field, Value stands in it
	Value  string
}

// NoteOf returns what the word of an address says, nil for a word that says nothing.
// The words are fixed, so that no link can put others' words on a page.
func NoteOf(word string) *Note {
	text, ok := notes[word]
	if !ok {
		return nil
	}
	return &Note{Text: text, Caution: word == "resumed" || word == "draft-lost"}
}

var notes = map[string]string{
	"resumed":    "You signed in again before this was done. Everything that you typed is still here: check it, then send it once more.",
	"draft-lost": "You’re signed in. What was typed before could not be kept, or was typed by somebody else: nothing of it was done.",
	"saved":      "Saved.",

	"key-revoked": "The key is revoked: it opens nothing any more.",
}
