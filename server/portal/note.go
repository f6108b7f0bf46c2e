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

	"app-disabled":     "The app is disabled: its tokens open nothing, and it gets no new ones.",
	"app-enabled":      "The app works again.",
	"app-removed":      "The app is removed, with everything that it was given.",
	"app-withdrawn":    "The app cannot use your account any more.",
	"session-ended":    "The session is ended: that browser is signed out.",
	"sessions-ended":   "You’re signed out everywhere else.",
	"password-changed": "Your password is changed, and you’re signed out everywhere else.",
	"webhook-off":      "The webhook was switched off. Nothing is sent until it is on again.",
	"webhook-on":       "The webhook was switched on.",
	"webhook-removed":  "The webhook is removed.",
	"webhook-again":    "It is sent once more. The receiver sees the same event ID.",

	"roles-saved":        "The roles are saved. They count from the next request on.",
	"user-disabled":      "The user is disabled: signed out everywhere, and their API keys open nothing.",
	"user-enabled":       "The user is enabled: they can sign in, and their API keys work again.",
	"user-signed-out":    "All of their sessions are ended. They can sign in again.",
	"access-key-removed": "The access key is removed: it opens nothing any more.",
	"lock-lifted":        "The lock is lifted: the next try counts from the start.",
	"signing-rotated":    "New keys sign from now on. Tokens that are out stay valid until they expire.",
}
