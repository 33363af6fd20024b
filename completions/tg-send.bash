# Completion for bash, made from tg-send --help.

_tg_send() {
  local word=${COMP_WORDS[COMP_CWORD]}
  COMPREPLY=()
  case ${COMP_WORDS[COMP_CWORD - 1]} in
    --outbox | --ack | -c | --config | -l | --log | --photo | --document) return ;;
    --repeat-after | --remember | --timeout | --connections | --limits | --metrics | --chat | --thread) compopt +o default 2>/dev/null; return ;;
  esac
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W '--outbox --ack --repeat-after --remember --timeout --at-most-once --connections --limits --metrics --check --check=strict --check=online -c --config -l --log -v --verbose -h --help -V --version --chat --thread --silent --pre --photo --document --status --failed --retry-failed --forget-failed' -- "$word")
  fi
}
complete -o default -F _tg_send tg-send
