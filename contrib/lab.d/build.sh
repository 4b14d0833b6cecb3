# SPDX-License-Identifier: ISC
# shellcheck shell=bash
#
# Building, in build-lab/FLAVOUR of the tree, as the owner of the tree.
#
# The sources are copied first, with their times, to build-lab/FLAVOUR/src,
# and built beside, in obj.  So nothing is made in the tree itself, it does not
# matter whether somebody has configured it for himself (configure refuses to
# build elsewhere then), and editing it while tests run does not disturb them.
# Flavours are built one at a time each; build_hold keeps others out, as long
# as this process lives or until build_release.

# shellcheck disable=SC2154	# top and parts: contrib/lab sets them
build_owner=$(stat -c %u "$top")
build_group=$(stat -c %g "$top")

# Run a command as the owner of the tree, who need not have a name here.
as_owner()	# command...
{
	local home

	if [[ $build_owner -eq 0 ]]; then
		"$@"
		return
	fi
	home=$(getent passwd "$build_owner" | cut -d : -f 6)
	HOME=${home:-/nonexistent} setpriv --reuid "$build_owner" \
	    --regid "$build_group" --clear-groups -- "$@"
}

build_hold()	# flavour
{
	build=$top/build-lab/$1
	as_owner mkdir -p "$build/src" "$build/obj" &&
	as_owner touch "$build/lock" || die "cannot write in $top"
	exec {build_lock}<"$build/lock"
	flock -n "$build_lock" || {
		say 'waiting for another lab that is building'
		flock "$build_lock"
	}
}

build_release()
{
	exec {build_lock}<&-
}

# What is in the tree: what git knows or would add; without git, or with one
# that refuses, everything but its own files.  Another checkout around the
# tree would know nothing of it.
build_files()
{
	[[ -e .git ]] &&
	    git ls-files --cached --others --exclude-standard 2>/dev/null ||
	    find . \( -name .git -o -name .deps -o -name autom4te.cache \) \
		-prune -o -type f -printf '%P\n'
}

# What belongs to it: not what configure and make have made there.
build_sources()
{
	local file magic

	build_files | while read -r file; do
		case $file in
		build-lab/*|Makefile|autoconf.h|stamp-h1) continue ;;
		config.log|config.status|.dirstamp|*/.dirstamp|*.[ao]) continue ;;
		*/*) [[ ! -e ${file%%/*}/config.status ]] || continue ;;
		esac
		[[ -f $file ]] || continue
		read -r -N 4 magic <"$file"
		[[ $magic == $'\x7fELF' ]] || printf '%s\n' "$file"
	done 2>/dev/null
}

# Bring the copy up to date, and forget what has gone.
build_copy()
{
	local list=$build/files

	cd "$top" || return
	build_sources | sort >"$list.new"
	if [[ -e $list ]]; then
		comm -23 "$list" "$list.new" | ( cd "$build/src" &&
		    xargs -r -d '\n' rm -f -- )
	fi
	tar -cf - -T "$list.new" | tar -xf - -C "$build/src" || return
	mv "$list.new" "$list"
	m4/git-version >"$build/src/.tarball-version"
}

# Configure again only if that was done with other options.
build_configure()	# option of configure...
{
	local said="$*"

	if [[ ! -e $build/src/configure ]]; then
		( cd "$build/src" && autoreconf -fi ) || {
			rm -f "$build/src/configure"
			return 1
		}
	fi
	[[ -e $build/obj/Makefile && -e $build/options &&
	    $(<"$build/options") == "$said" ]] && return
	cd "$build/obj" && ../src/configure "$@" &&
	    printf '%s\n' "$said" >"$build/options"
}

build_all()	# targets -- options of configure
{
	local targets=()

	while [[ $1 != -- ]]; do
		targets+=("$1")
		shift
	done
	shift
	build_copy && build_configure "$@" &&
	    make -C "$build/obj" -j"$(nproc)" "${targets[@]}"
}

# Build targets of make, held before with build_hold.  Takes half a minute the
# first time, so somebody may be waiting.
build_make()	# targets -- options of configure
{
	local log=$build/log started=$SECONDS

	say "building in ${build#"$top"/} (${build#"$top"/}/log tells more)"
	as_owner env top="$top" build="$build" \
	    bash -uo pipefail -c '. "$0/build.sh"
		build_all "$@" >"$build/log" 2>&1 </dev/null' \
	    "$parts" "$@" || {
		grep -E -i 'error|\*\*\*' "$log" | head -n 20
		tail -n 10 "$log"
		die "building failed; all of it is in $log"
	}
	[[ $((SECONDS - started)) -lt 3 ]] ||
	    say "built in $((SECONDS - started)) s"
}
