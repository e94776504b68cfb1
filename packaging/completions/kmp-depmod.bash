# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for kmp-depmod; needs no helper functions

_kmp_depmod_kernels()
{
	local root=$1 moduledir=$2 dir path

	for dir in "${moduledir:-lib/modules}" "${moduledir:-usr/lib/modules}"; do
		for path in "$root/$dir"/*/; do
			[[ -d $path ]] || continue
			path=${path%/}
			printf '%s\n' "${path##*/}"
		done
	done | sort -u
}

# what a dry run looks into
_kmp_depmod_packages()
{
	local path

	compgen -f -- "$1" | while IFS= read -r path; do
		case $path in
		*.rpm | *.deb | *.ko | *.ko.gz | *.ko.xz | *.ko.zst) printf '%s\n' "$path" ;;
		*) [[ ! -d $path ]] || printf '%s\n' "$path" ;;
		esac
	done
}

_kmp_depmod()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} root='' moduledir='' i value
	local options='--dry-run --full --verify --touched-from --root --moduledir --outdir --config --store --jobs
		--wait --no-sync --keep-directory --errsyms --symvers --filesyms --symbol-prefix --warn --errexit --json
		--kernel --add --remove --explain --dot --exit-code --keep-running --cause --system --stats --quiet --verbose --version --help
		-n -m -o -C -j -e -E -F -P -w -x -q -v -V -h'

	# "--root=DIR" is three words here
	if [[ $cur == = ]]; then
		cur=''
	elif [[ $prev == = ]]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	for ((i = 1; i < COMP_CWORD - 1; i++)); do
		value=${COMP_WORDS[i + 1]}
		[[ $value != = ]] || value=${COMP_WORDS[i + 2]}
		case ${COMP_WORDS[i]} in
		--root) root=${value/#\~/$HOME} ;;
		-m | --moduledir) moduledir=$value ;;
		esac
	done

	COMPREPLY=()
	case $prev in
	--touched-from | -E | --symvers | -F | --filesyms | -C | --config)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--root | -o | --outdir | --system)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	--store)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -W none -- "$cur")
		return
		;;
	--add)
		compopt -o filenames
		mapfile -t COMPREPLY < <(_kmp_depmod_packages "$cur")
		return
		;;
	--kernel)
		mapfile -t COMPREPLY < <(compgen -W "$(_kmp_depmod_kernels "$root" "$moduledir")" -- "$cur")
		return
		;;
	--keep-running)
		mapfile -t COMPREPLY < <(compgen -W 'save restore clean status' -- "$cur")
		return
		;;
	-m | --moduledir)
		mapfile -t COMPREPLY < <(compgen -W 'lib/modules usr/lib/modules' -- "$cur")
		return
		;;
	-j | --jobs | --wait | -P | --symbol-prefix | --remove | --explain | --cause)
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		((COMP_CWORD > 1)) || options+=' --as-depmod'
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -W "$(_kmp_depmod_kernels "$root" "$moduledir")" -- "$cur")
		if [[ " ${COMP_WORDS[*]} " =~ ' '(-[a-zA-Z]*n|--dry-run' ') ]]; then
			compopt -o filenames
			mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(_kmp_depmod_packages "$cur")
		fi
	fi
}

complete -F _kmp_depmod kmp-depmod
