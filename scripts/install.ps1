<#
.SYNOPSIS
Make .venv with the pinned libraries and this checkout, on Windows: scripts\install.ps1 [cpu|cuda|directml] [-Dev] [-Train] [-Scale] [-Describe]

.DESCRIPTION
-Train adds what `facesets train` needs: PyTorch, which is large. -Scale adds dask, for `facesets cluster --engine`,
-Describe what `facesets describe` needs for Amazon Bedrock.
Everything is pinned in scripts\constraints.txt and installed without resolving, because insightface
asks for opencv-python and plain onnxruntime, which overwrite the headless and the GPU builds, and tokenizers
for what downloads from a hub.

Windows runs scripts only where it is told to:
powershell -ExecutionPolicy Bypass -File scripts\install.ps1 directml
#>
param(
    [ValidateSet('cpu', 'cuda', 'directml')]
    [string]$Provider,
    [switch]$Dev,
    [switch]$Train,
    [switch]$Scale,
    [switch]$Describe
)
$ErrorActionPreference = 'Stop'
$root = Split-Path -Parent $PSScriptRoot

function Read-Kept([string]$Path) {
    if (Test-Path -LiteralPath $Path) { [IO.File]::ReadAllText($Path).Trim() } else { '' }
}

function Test-Code([string[]]$Python, [string]$Code) {
    $options = @($Python | Select-Object -Skip 1)
    try {
        & $Python[0] @options -c $Code 2>$null
        $LASTEXITCODE -eq 0
    }
    catch {
        $false
    }
}

function Invoke-Pip {
    & $python -m pip @args
    if ($LASTEXITCODE -ne 0) { throw 'pip could not do that: see its message above.' }
}

$venv = if ($env:FACESETS_VENV) { $env:FACESETS_VENV } else { '.venv' }
if (-not [IO.Path]::IsPathRooted($venv)) { $venv = Join-Path $root $venv }
# Whoever chose a GPU or training once keeps it.
$kind = if ($Provider) { $Provider } else { Read-Kept (Join-Path $venv 'provider') }
if (-not $kind) { $kind = 'cpu' }
$training = if ($Train) { 'yes' } else { Read-Kept (Join-Path $venv 'train') }
$scaling = if ($Scale) { 'yes' } else { Read-Kept (Join-Path $venv 'scale') }
$describing = if ($Describe) { 'yes' } else { Read-Kept (Join-Path $venv 'describe') }

$lists = @(Get-ChildItem -Path $PSScriptRoot -Filter 'constraints*.txt' | Sort-Object Name | ForEach-Object { $_.FullName })
$texts = @(@(Join-Path $root 'pyproject.toml') + $lists | ForEach-Object { Read-Kept $_ })
$wanted = (($texts + @($kind, $training, $scaling, $describing, $root)) -join "`n").Trim()
$name = if ($Dev) { 'installed-dev' } else { 'installed-runtime' }
$stamp = Join-Path $venv $name
if ((Read-Kept $stamp) -eq $wanted) { exit 0 }

$python = Join-Path $venv 'Scripts\python.exe'
if (-not (Test-Path -LiteralPath $python)) {
    $found = $null
    $known = @(@('py', '-3.11'), @('py', '-3'), @('python'), @('python3'))
    if ($env:PYTHON) { $known = @(, @($env:PYTHON)) + $known }
    foreach ($each in $known) {
        if (Test-Code $each 'import sys; sys.exit(sys.version_info < (3, 11))') { $found = [string[]]@($each); break }
    }
    if (-not $found) {
        [Console]::Error.WriteLine('facesets needs Python 3.11 or later: install it, or set PYTHON.')
        exit 2
    }
    $options = @($found | Select-Object -Skip 1)
    & $found[0] @options -m venv $venv
    if ($LASTEXITCODE -ne 0) { throw "$venv could not be made: see the message above." }
}

[Console]::Error.WriteLine("Installing into $venv (a minute or two the first time)...")
$runtimes = @{ cpu = 'onnxruntime'; cuda = 'onnxruntime-gpu'; directml = 'onnxruntime-directml' }
$runtime = $runtimes[$kind]
$pinned = @(Get-Content -LiteralPath (Join-Path $PSScriptRoot 'constraints.txt'))
if ($kind -ne 'cpu') {
    # Another build of ONNX Runtime takes the place of the usual one; its file also has what only it needs.
    $pinned = @($pinned | Where-Object { $_ -notmatch '^onnxruntime==' })
    $pinned += @(Get-Content -LiteralPath (Join-Path $PSScriptRoot "constraints-$kind.txt"))
}
if ($Dev) { $pinned += @(Get-Content -LiteralPath (Join-Path $PSScriptRoot 'constraints-dev.txt')) }
if ($training) { $pinned += @(Get-Content -LiteralPath (Join-Path $PSScriptRoot 'constraints-train.txt')) }
if ($describing) { $pinned += @(Get-Content -LiteralPath (Join-Path $PSScriptRoot 'constraints-describe.txt')) }
if ($scaling) { $pinned += @(Get-Content -LiteralPath (Join-Path $PSScriptRoot 'constraints-scale.txt')) }
$pins = [IO.Path]::GetTempFileName()
try {
    [IO.File]::WriteAllLines($pins, [string[]]@($pinned | Sort-Object -Unique))
    $others = @('onnxruntime', 'onnxruntime-gpu', 'onnxruntime-directml', 'opencv-python') | Where-Object { $_ -ne $runtime }
    Invoke-Pip uninstall -q -y @others
    Invoke-Pip install -q --disable-pip-version-check --no-deps -r $pins
    Invoke-Pip install -q --disable-pip-version-check --no-deps -e $root
    if ($training -and -not (Test-Code @($python) 'import torch')) {
        Invoke-Pip install -q --disable-pip-version-check -c $pins torch
    }
}
finally {
    Remove-Item -LiteralPath $pins
}
[IO.File]::WriteAllText((Join-Path $venv 'provider'), $kind)
[IO.File]::WriteAllText((Join-Path $venv 'train'), $training)
[IO.File]::WriteAllText((Join-Path $venv 'scale'), $scaling)
[IO.File]::WriteAllText((Join-Path $venv 'describe'), $describing)
[IO.File]::WriteAllText($stamp, $wanted)
[Console]::Error.WriteLine("Installed. Next: & `"$(Join-Path $venv 'Scripts\facesets')`" run PHOTOS")
