# SPDX-License-Identifier: GPL-2.0-or-later
#
# What shells complete. bash looks for a file of the command's name, without an ending.

EXTRA_DIST += packaging/completions/kmp-depmod.bash

bashcompletiondir = $(datadir)/bash-completion/completions
nodist_bashcompletion_DATA = packaging/completions/kmp-depmod
CLEANFILES += packaging/completions/kmp-depmod

packaging/completions/kmp-depmod: packaging/completions/kmp-depmod.bash
	$(AM_V_GEN)$(MKDIR_P) packaging/completions && cp $(srcdir)/packaging/completions/kmp-depmod.bash $@

zshcompletiondir = $(datadir)/zsh/site-functions
dist_zshcompletion_DATA = packaging/completions/_kmp-depmod
fishcompletiondir = $(datadir)/fish/vendor_completions.d
dist_fishcompletion_DATA = packaging/completions/kmp-depmod.fish
