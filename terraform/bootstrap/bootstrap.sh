#!/usr/bin/env bash
# Makes the bucket of Terraform's states, once an account, and writes backend.hcl into each environment.
#
#   AWS_PROFILE=… terraform/bootstrap/bootstrap.sh eu-central-1
#
# Run again, on any machine, it changes nothing and writes backend.hcl anew: its own state is in the bucket, too.
set -euo pipefail

region=${1:-${AWS_REGION:-${AWS_DEFAULT_REGION:-}}}
if [[ -z $region ]]; then
  echo "error: no region: bootstrap.sh REGION, or set AWS_REGION" >&2
  exit 2
fi
for program in aws terraform; do
  command -v "$program" >/dev/null || {
    echo "error: $program is missing: https://developer.hashicorp.com/terraform/install, https://aws.amazon.com/cli/" >&2
    exit 2
  }
done

cd "$(dirname "${BASH_SOURCE[0]}")"
account=$(aws sts get-caller-identity --query Account --output text)
bucket=photo-recommender-state-$account-$region

write_backend() {
  cat >backend.tf <<HCL
terraform {
  backend "s3" {
    bucket       = "$bucket"
    key          = "bootstrap/terraform.tfstate"
    region       = "$region"
    use_lockfile = true
  }
}
HCL
}

rm -f backend.tf
state_in_bucket=$(aws s3api head-object --bucket "$bucket" --key bootstrap/terraform.tfstate --region "$region" \
  >/dev/null 2>&1 && echo yes || echo no)

if [[ $state_in_bucket == yes ]]; then
  write_backend
  terraform init -input=false -reconfigure
  terraform apply -input=false -auto-approve -var "region=$region" -var "bucket=$bucket"
else
  # Without a bucket there is nowhere to put the state of the bucket: it is made with a file, which is then moved into it.
  terraform init -input=false -reconfigure
  terraform apply -input=false -auto-approve -var "region=$region" -var "bucket=$bucket"
  write_backend
  terraform init -input=false -migrate-state -force-copy
  rm -f terraform.tfstate terraform.tfstate.backup
fi

for environment in ../environments/*/; do
  cat >"${environment}backend.hcl" <<HCL
bucket = "$bucket"
region = "$region"
HCL
  echo "wrote terraform/environments/$(basename "$environment")/backend.hcl"
done
echo "next: docs/operations/deploy.md, step 2"
