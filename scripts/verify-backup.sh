#!/bin/sh
exec cargo xtask verify "$@"
