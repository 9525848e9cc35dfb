# The bucket and its region are in backend.hcl, which bootstrap.sh writes. The bucket encrypts by its own key what is put into
# it; `encrypt` would have S3 use another.
terraform {
  backend "s3" {
    key          = "dev/terraform.tfstate"
    use_lockfile = true
  }
}
