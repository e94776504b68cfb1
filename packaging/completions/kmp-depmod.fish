# SPDX-License-Identifier: GPL-2.0-or-later
# fish completion for kmp-depmod

function __kmp_depmod_kernels
    set -l root
    set -l directories lib/modules usr/lib/modules
    set -l words (commandline -opc)
    for i in (seq (count $words))
        switch $words[$i]
            case --root
                set root $words[(math $i + 1)]
            case '--root=*'
                set root (string replace -- --root= '' $words[$i])
            case -m --moduledir
                set directories $words[(math $i + 1)]
            case '--moduledir=*'
                set directories (string replace -- --moduledir= '' $words[$i])
        end
    end
    set root (string replace -r '^~' $HOME -- "$root")
    for path in "$root"/$directories/*/
        string replace -r '.*/([^/]+)/$' '$1' -- $path
    end | sort -u
end

# what a dry run looks into
function __kmp_depmod_packages
    __fish_complete_path (commandline -ct) | string match -r '.*(?:/|\.rpm|\.deb|\.ko(?:\.gz|\.xz|\.zst)?)(?:\t.*)?$'
end

complete -c kmp-depmod -f
complete -c kmp-depmod -a '(__kmp_depmod_kernels)' -d kernel
complete -c kmp-depmod -n '__fish_contains_opt -s n dry-run' -a '(__kmp_depmod_packages)'
complete -c kmp-depmod -s n -l dry-run -d 'Say what would change and why'
complete -c kmp-depmod -l full -d 'Believe no remembered fact'
complete -c kmp-depmod -l verify -d 'Compare the indexes on disk with the tree'
complete -c kmp-depmod -l touched-from -r -F -d 'Paths whose stat is not to be believed'
complete -c kmp-depmod -l root -x -a '(__fish_complete_directories)' -d 'Work on the system below a directory'
complete -c kmp-depmod -s m -l moduledir -x -a 'lib/modules usr/lib/modules' -d 'Where kernels are, below the root'
complete -c kmp-depmod -s o -l outdir -x -a '(__fish_complete_directories)' -d 'Write the indexes below a directory'
complete -c kmp-depmod -s C -l config -r -F -d 'Instead of the depmod.d directories'
complete -c kmp-depmod -l store -x -a 'none (__fish_complete_directories)' -d 'Where facts are remembered'
complete -c kmp-depmod -s j -l jobs -x -d 'Threads that read modules'
complete -c kmp-depmod -l wait -x -d 'Seconds to wait for another run'
complete -c kmp-depmod -l no-sync -d 'Do not wait until the indexes are on the disk'
complete -c kmp-depmod -l keep-directory -d 'Leave the directory of a kernel that has no files any more'
complete -c kmp-depmod -s e -l errsyms -d 'Report symbols that nothing exports'
complete -c kmp-depmod -s E -l symvers -r -F -d 'Symbols and CRCs of the kernel: a Module.symvers'
complete -c kmp-depmod -s F -l filesyms -r -F -d 'Symbols of the kernel: a System.map'
complete -c kmp-depmod -s P -l symbol-prefix -x -d 'A character in front of symbols'
complete -c kmp-depmod -s w -l warn -d 'Report keys that are in an index twice'
complete -c kmp-depmod -s x -l errexit -d 'Exit 3 if -e has anything to report'
complete -c kmp-depmod -l kernel -x -a '(__kmp_depmod_kernels)' -d 'Look at this kernel, in a dry run'
complete -c kmp-depmod -l add -x -a '(__kmp_depmod_packages)' -d 'A package, module or directory, in a dry run'
complete -c kmp-depmod -l remove -x -d 'As if this were not there, in a dry run'
complete -c kmp-depmod -l explain -x -d 'Tell of one module, in a dry run'
complete -c kmp-depmod -l dot -d 'Print a graph, in a dry run'
complete -c kmp-depmod -l exit-code -d 'Exit 10 if something would change, 3 if it would break'
complete -c kmp-depmod -l keep-running -x -a 'save restore clean status' -d 'Keep the modules of the kernel that runs'
complete -c kmp-depmod -l cause -x -d 'Why, for --keep-running save'
complete -c kmp-depmod -l system -x -a '(__fish_complete_directories)' -d 'Where proc, sys and run of the running system are'
complete -c kmp-depmod -l json -d 'Report as JSON'
complete -c kmp-depmod -l stats -d 'Report where the time went'
complete -c kmp-depmod -s q -l quiet -d 'No warnings'
complete -c kmp-depmod -s v -l verbose -d 'Say what was done'
complete -c kmp-depmod -s V -l version -d 'Print the version'
complete -c kmp-depmod -s h -l help -d 'Print a summary'
complete -c kmp-depmod -n '__fish_is_first_arg' -l as-depmod -d 'Take the command line of depmod'
