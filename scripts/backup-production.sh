#!/bin/sh
exec cargo xtask backup "$@"
