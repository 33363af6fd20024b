# Completion for bash, made from tg-bot --help.

_tg_bot() {
  local word=${COMP_WORDS[COMP_CWORD]}
  COMPREPLY=()
  case ${COMP_WORDS[COMP_CWORD - 1]} in
    -u | --users | --state | --seen | -c | --config | -l | --log) return ;;
    --limits | --metrics) compopt +o default 2>/dev/null; return ;;
  esac
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W '-u --users --state --seen --limits --delete-webhook --metrics --check --check=strict --check=online -c --config -l --log -v --verbose -h --help -V --version' -- "$word")
  fi
}
complete -o default -F _tg_bot tg-bot
