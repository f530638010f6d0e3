#!/bin/sh
# install.sh VARIANT LOCK...: makes /opt/trainer hold exactly what the locks name. What a layer below has already stays there.
#   cuda  the locks as they are: PyPI's torch, built for NVIDIA's GPUs, which runs on CPUs too
#   cpu   without NVIDIA's libraries and triton; torch from PyTorch's own index
set -eu
variant=$1
shift
case $variant in
  cuda) left_out='^$' ;;
  cpu) left_out='^(nvidia-cu|nvidia-n[cv]|cuda-|triton)' UV_TORCH_BACKEND=cpu && export UV_TORCH_BACKEND ;;
  *) echo "install.sh: VARIANT is cuda or cpu, not $variant" >&2 && exit 2 ;;
esac
work=$(mktemp -d)
grep -hvE "$left_out" "$@" >"$work/lock"
[ -d /opt/trainer ] || python3 -m venv --without-pip /opt/trainer
/uv/bin/uv pip sync --quiet --no-cache "$work/lock"
# A read-only root could never keep bytecode, so it is in the layer; and only for what is new, or each layer would hold that of
# all layers below. Its validity is never asked for again. Files that no Python 3 can compile are not ours to complain about.
find /opt/trainer/lib -name '*.py' -cnewer "$work" | python3 -m compileall -qq -j 0 --invalidation-mode unchecked-hash -i - || true
rm -r "$work"
