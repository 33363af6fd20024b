# Completion for bash, made from grafana-shot --help.

_grafana_shot() {
  local word=${COMP_WORDS[COMP_CWORD]}
  COMPREPLY=()
  case ${COMP_WORDS[COMP_CWORD - 1]} in
    -o | --output | --cacert | --token-file | -c | --config | -l | --log) return ;;
    --url | --var | --from | --to | --since | --tz | --theme | --width | --height | --scale | --timeout | --retries | --org | --header) compopt +o default 2>/dev/null; return ;;
  esac
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W '--url -u --uid -t --title --var --from --to --since --tz --theme --width --height --scale -o --output -n --dry-run --list --json --timeout --retries --org --cacert --insecure --header --token-file --check --check=strict --check=online -c --config -l --log -q --quiet -v --verbose -h --help -V --version' -- "$word")
  fi
}
complete -o default -F _grafana_shot grafana-shot
