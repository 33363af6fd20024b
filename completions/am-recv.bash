# Completion for bash, made from am-recv --help.

_am_recv() {
  local word=${COMP_WORDS[COMP_CWORD]}
  COMPREPLY=()
  case ${COMP_WORDS[COMP_CWORD - 1]} in
    --ack | -c | --config | -l | --log) return ;;
    -H | --host | -p | --port | --ack-timeout | --max-body | --read-timeout) compopt +o default 2>/dev/null; return ;;
  esac
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W '-H --host -p --port --ack --ack-timeout --max-body --read-timeout --check --check=strict --check=online -c --config -l --log -v --verbose -h --help -V --version' -- "$word")
  fi
}
complete -o default -F _am_recv am-recv
