# Completion for bash, made from alert-route --help.

_alert_route() {
  local word=${COMP_WORDS[COMP_CWORD]}
  COMPREPLY=()
  case ${COMP_WORDS[COMP_CWORD - 1]} in
    -u | --users | -t | --template | --seen | -c | --config | -l | --log) return ;;
    --watchdog | --metrics) compopt +o default 2>/dev/null; return ;;
  esac
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W '-u --users -t --template --ack --seen --watchdog --metrics --check --check=strict --check=online --explain -c --config -l --log -v --verbose -h --help -V --version' -- "$word")
  fi
}
complete -o default -F _alert_route alert-route
