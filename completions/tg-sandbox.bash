# Completion for bash, made from tg-sandbox --help.

_tg_sandbox() {
  local word=${COMP_WORDS[COMP_CWORD]}
  COMPREPLY=()
  case ${COMP_WORDS[COMP_CWORD - 1]} in
    --world | --rules | --record | -l | --log) return ;;
    --port | --ctl-port | --token | --limits | --scale | --seed | --upstream | --keep | --max-seconds) compopt +o default 2>/dev/null; return ;;
  esac
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W '--port --ctl-port --token --world --strict --lenient --oss --limits --scale --rules --seed --upstream --keep --record --max-seconds --fail-on-violation -l --log -v --verbose -h --help -V --version' -- "$word")
  fi
}
complete -o default -F _tg_sandbox tg-sandbox
