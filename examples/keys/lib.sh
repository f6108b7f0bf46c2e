# What the scripts of this folder share: they source it. Needs bash, curl and jq.
#
#   expect 201 curl …           run the command; its answer must have that status
#   field .api_key.name "ci"    of the answer's JSON, by jq's words, must be that
#   matches .api_key.id '^key_' must match
#   header Retry-After '^[0-9]' must be there and match
#   refused TYPE CODE           the answer is an error of that type and code
#   refused_oauth CODE          the answer is an error in the words of OAuth
#   value .api_key.key          is printed, to be kept in a variable
#   until_status 429 20 curl …  run the command until its answer has that status,
#                               so many times at most
#   allow xdg-open URL          do with curl what a browser does that is led to that
#                               page, and who sits before it: sign in as WAVEGATE_USER,
#                               and allow what the app asks for
#   returned code               is printed: what the app got with the redirect
#   returned_is state "$STATE"  of what the app got must be that
#   decode 1 "$TOKEN"           makes a part of a JWT (0 header, 1 claims) the answer
#
# Each command is shown as it stands in the script, with names where secrets are.
# What is not as it must be ends the script with exit code 1.
set -euo pipefail

for program in curl jq; do
  command -v "$program" >/dev/null || { echo "$0 needs $program" >&2; exit 1; }
done

WAVEGATE_URL=${WAVEGATE_URL:-http://127.0.0.1:10101}
WAVEGATE_LOGIN=${WAVEGATE_LOGIN:-access_key_id:access_key_secret} # ID:SECRET of an access key
WAVEGATE_USER=${WAVEGATE_USER:-}                                  # NAME:PASSWORD of somebody who can sign in

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'command_line=$BASH_COMMAND' DEBUG # inside functions it stays what called them
echo "WAVEGATE_URL=$WAVEGATE_URL"

title() { printf '\n# %s\n' "$*"; }

expect() {
  local want=$1 got
  shift
  printf '\n$ %s\n' "${command_line#expect * }"
  got=$(answer "$@")
  printf '%s %s\n' "$got" "$(without_secrets "$work/body")"
  [[ $got == "$want" ]] || fail "the status is $got, want $want"
}

until_status() {
  local want=$1 most=$2 got n
  shift 2
  printf '\n$ %s\n' "${command_line#until_status * * }"
  for ((n = 1; n <= most; n++)); do
    got=$(answer "$@")
    [[ $got != "$want" ]] || break
  done
  printf '%s %s\n' "$got" "$(without_secrets "$work/body")"
  [[ $got == "$want" ]] || fail "the status is $got after $most requests, want $want"
  echo "  after $n"
}

# answer runs curl, keeps headers and body, and prints the status.
answer() {
  : >"$work/head"
  : >"$work/body"
  "$@" --silent --show-error --max-time 30 --dump-header "$work/head" --output "$work/body" --write-out '%{http_code}'
}

# without_secrets shows an answer with the ends of keys and tokens cut off.
without_secrets() { head -c 2000 "$1" | sed -E 's/(_(live|test|dev|trial)_[0-9a-f]{8})[0-9a-f]{24}/\1…/g; s/eyJ[A-Za-z0-9_.-]+/eyJ…/g; s/(wg(ac|rt|cs|dc)_)[A-Za-z0-9_-]+/\1…/g'; }

value() { jq -er "$1" "$work/body" || fail "the answer has no $1"; }

field() {
  local got
  got=$(jq -r "$1" "$work/body") || fail "the answer is no JSON"
  [[ $got == "$2" ]] || fail "$1 is $got, want $2"
  echo "  $1 is $2"
}

matches() {
  local got
  got=$(jq -r "$1" "$work/body") || fail "the answer is no JSON"
  [[ $got =~ $2 ]] || fail "$1 does not match $2"
  echo "  $1 matches $2"
}

header() {
  local got
  got=$(tr -d '\r' <"$work/head" | grep -i "^$1: " | tail -n 1) || fail "the answer has no header $1"
  [[ ${got#*: } =~ $2 ]] || fail "the header is $got, want $2"
  echo "  $got"
}

refused() {
  field .error.type "$1"
  field .error.code "$2"
  matches .error.message .
  header X-Request-Id "^$(value .error.request_id)\$"
}

refused_oauth() {
  field .error "$1"
  matches .error_description .
  header Cache-Control no-store
}

allow() {
  local url=${2// /%20} request # a browser writes spaces so
  printf '\n$ %s\n' "${command_line#allow }"
  browse "$url"
  if ! request=$(hidden request); then
    browse "$WAVEGATE_URL/_auth/login" --data-urlencode "username=${WAVEGATE_USER%%:*}" --data-urlencode "password=${WAVEGATE_USER#*:}"
    browse "$url"
    request=$(hidden request) || fail "there is no page that asks; is WAVEGATE_USER the NAME:PASSWORD of a user?"
  fi
  browse "$WAVEGATE_URL/oauth/authorize/decision" -H "Origin: $WAVEGATE_URL" --data-urlencode "request=$request" -d decision=allow
  location >"$work/location"
  printf '  the browser goes to %s\n' "$(without_secrets "$work/location")"
}

# browse asks as a browser does, which keeps cookies and follows redirects; not to
# other sites here.
browse() {
  local to
  answer curl --cookie-jar "$work/cookies" --cookie "$work/cookies" "$@" >/dev/null
  for _ in 1 2 3 4 5; do
    to=$(location)
    to=${to#"$WAVEGATE_URL"}
    [[ $to == /* ]] || return 0
    answer curl --cookie-jar "$work/cookies" --cookie "$work/cookies" "$WAVEGATE_URL$to" >/dev/null
  done
}

# location is where the answer leads, if anywhere.
location() { tr -d '\r' <"$work/head" | sed -n 's/^[Ll]ocation: //p' | tail -n 1; }

# hidden is the value of a hidden field of the page.
hidden() { sed -n 's/.*<input type="hidden" name="'"$1"'" value="\([^"]*\)".*/\1/p' "$work/body" | grep .; }

returned() {
  local got
  got=$(sed 's/^[^?]*?//' "$work/location" | tr '&' '\n' | sed -n "s/^$1=//p")
  [[ -n $got ]] || fail "the app got no $1"
  printf '%b' "${got//%/\\x}"
}

returned_is() {
  local got
  got=$(returned "$1")
  [[ $got == "$2" ]] || fail "the app got the $1 $got, want $2"
  echo "  $1 is $2"
}

decode() {
  local part
  part=$(cut -d . -f $(($1 + 1)) <<<"$2" | tr -- -_ +/)
  while ((${#part} % 4)); do part+='='; done
  base64 -d <<<"$part" >"$work/body" || fail "that is no JWT"
  printf '\n%s\n' "$(<"$work/body")"
}

fail() {
  local i=0
  while [[ ${BASH_SOURCE[i]} == "${BASH_SOURCE[0]}" ]]; do i=$((i + 1)); done
  echo "${BASH_SOURCE[i]##*/}:${BASH_LINENO[i - 1]}: $*" >&2
  exit 1
}
