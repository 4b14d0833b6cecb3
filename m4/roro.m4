dnl SPDX-License-Identifier: ISC

# RORO_CFLAG(FLAG, VARIABLE)
# Append FLAG to VARIABLE if the compiler and the linker take it without a word.
# -Werror matters: clang only warns about flags that it does not use.
AC_DEFUN([RORO_CFLAG], [
  AS_VAR_PUSHDEF([cache], [roro_cv_cflag_$1])
  AC_CACHE_CHECK([whether $CC accepts $1], [cache], [
    roro_save_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS -Werror $1"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([[
      static void fill(char *p, int n) { while (n > 0) p[--n] = 'x'; }
      ]], [[char b[64]; fill(b, 64); return b[0] != 'x';]])],
      [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
    CFLAGS=$roro_save_CFLAGS
  ])
  AS_VAR_IF([cache], [yes], [$2="$$2 $1"])
  AS_VAR_POPDEF([cache])
])

# RORO_LDFLAG(FLAG, VARIABLE)
# The same for a flag of the linker.
AC_DEFUN([RORO_LDFLAG], [
  AS_VAR_PUSHDEF([cache], [roro_cv_ldflag_$1])
  AC_CACHE_CHECK([whether the linker accepts $1], [cache], [
    roro_save_LDFLAGS=$LDFLAGS
    LDFLAGS="$LDFLAGS $1"
    AC_LINK_IFELSE([AC_LANG_PROGRAM],
      [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
    LDFLAGS=$roro_save_LDFLAGS
  ])
  AS_VAR_IF([cache], [yes], [$2="$$2 $1"])
  AS_VAR_POPDEF([cache])
])

# RORO_MISSING(WHAT, DEBIAN-PACKAGE, OPENWRT-PACKAGE)
# Remember that WHAT is missing; RORO_STOP_IF_MISSING names all of them at once.
AC_DEFUN([RORO_MISSING], [
  roro_missing="$roro_missing
    $1 (Debian: $2; OpenWrt: $3)"
])

AC_DEFUN([RORO_STOP_IF_MISSING], [
  AS_IF([test -n "$roro_missing"],
    [AC_MSG_ERROR([these are missing, install the packages that hold them:$roro_missing])])
])
